"""The exceptions that longrun raises. All derive from `LongrunError`.

Each message says what failed, where, and what is allowed or what to do next.
"""

import difflib
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the command line. Scripts rely on them: `workflows/scripts.md` documents each."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHECK_FAILED = 3
    REGISTRATION_REFUSED = 4
    INTERRUPTED = 130
    TERMINATED = 143


class LongrunError(Exception):
    """Base class of all errors that a user can act on."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    """Exit code of a command that ends with this error."""


class ConfigError(LongrunError):
    """Invalid configuration value, recipe, stage name or option."""

    exit_code = ExitCode.USAGE


class SourceError(LongrunError):
    """A source of documents, conversations or pairs is missing, unreadable or not in the expected format."""


class ExtensionError(LongrunError):
    """A recipe's own filter, reader, task or check failed or returned an invalid value."""


class FitRefused(LongrunError):
    """No scaling law can be fitted to the given runs; the message gives the reason for each method."""


class ResourceError(LongrunError):
    """Not enough memory or disk space, detected before the work starts."""


class ArtifactError(LongrunError):
    """An artifact cannot be used."""


class MissingArtifact(ArtifactError):
    """An artifact, or one of its files, does not exist: it was never finished, or was deleted."""


class DamagedArtifact(ArtifactError):
    """The files of an artifact differ from its manifest, or one of them does not hold a valid value."""


class NewerFormat(ArtifactError):
    """A manifest or file was written by a later version of longrun."""


class StoreError(LongrunError):
    """The artifact store cannot be reached or refuses the request."""


class TrackingError(LongrunError):
    """The MLflow server cannot be reached or refuses the request."""


class ClusterError(LongrunError):
    """A cluster, or a service on it, cannot be reached or refuses the request."""


class EndpointError(ClusterError):
    """No service, or the wrong service, answers at an endpoint."""


class LoginRefused(ClusterError):
    """A service rejects the user's credentials or does not permit the action."""


class ImageMissing(ClusterError):
    """A container image cannot be pulled from its registry."""


class QuotaExceeded(ClusterError):
    """The quota of a namespace is too small for the request."""


class CheckFailed(LongrunError):
    """A critical check between two stages failed."""

    exit_code = ExitCode.CHECK_FAILED


class TrainingError(LongrunError):
    """Training cannot start or continue: non-finite loss, a lost worker, or no usable batch."""


class CheckpointError(TrainingError):
    """A training checkpoint is incomplete, was changed, or belongs to another model or layout."""


class SupersededAttempt(CheckpointError):
    """A later attempt at the same training has taken over the checkpoints of this one."""


class RegistrationRefused(LongrunError):
    """The model does not meet the promotion rule."""

    exit_code = ExitCode.REGISTRATION_REFUSED


class PreflightError(LongrunError):
    """Several problems, found before a run starts: a line for each. A single problem is raised as the error that it is."""


class RecipeRefused(PreflightError):
    """Several problems, all of them in the recipe."""

    exit_code = ExitCode.USAGE


class HomeError(LongrunError):
    """The home directory cannot be used, or another run is using it."""

    exit_code = ExitCode.USAGE


def error_named(kind: str, message: str) -> LongrunError | None:
    """The error of the class named `kind`, with this message; None if longrun has no such class.

    Flyte, journals and logs keep only the name and the message of an error that was raised in another process.
    """
    known = globals().get(kind)
    return known(message) if isinstance(known, type) and issubclass(known, LongrunError) else None


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code of a command that ends with `error`."""
    if isinstance(error, LongrunError):
        return error.exit_code
    return ExitCode.INTERRUPTED if isinstance(error, KeyboardInterrupt) else ExitCode.FAILED


def require(condition: bool, owner: object, field: str, value: object, allowed: str) -> None:
    """Raise `ConfigError` naming the field, its value and what is allowed, unless `condition` holds.

    If `allowed` lists names, separated by commas, the message suggests the one that is most similar to the value.
    """
    if not condition:
        names = [name.strip() for name in allowed.split(",")]
        near = difflib.get_close_matches(value, names, n=1) if isinstance(value, str) else []
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"{type(owner).__name__}.{field} is {value!r}{hint}; allowed: {allowed}")


def single_line(error: BaseException | str, max_characters: int = 0) -> str:
    """The message of an error in one line, cut to `max_characters` (0: not cut); the name of its class if it has no message."""
    text = " ".join(str(error).split()) or (type(error).__name__ if isinstance(error, BaseException) else "")
    return text[:max_characters] if max_characters else text


def unknown(what: str, name: str, allowed: list[str]) -> str:
    """An error message for an unknown name. It lists the allowed names and suggests the most similar one."""
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown {what} {name!r}{hint}; allowed: {', '.join(allowed)}"
