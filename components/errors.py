"""The exceptions longrun raises, as one tree: catch `LongrunError` for all of them.

A message names what went wrong, where, and what is allowed or to do next.
"""

import difflib
from typing import ClassVar


class LongrunError(Exception):
    """Anything longrun refuses or fails at with a reason that a user can act on."""

    exit_code: ClassVar[int] = 1
    """Exit status of the command line: 1 for a failed run, 2 for wrong usage."""


class ConfigError(LongrunError):
    """A configuration value, recipe, stage name or option that is not allowed."""

    exit_code = 2


class SourceError(LongrunError):
    """A source of documents, conversations or pairs that cannot be read as promised."""


class ExtensionError(LongrunError):
    """A filter, reader, task or check of the recipe's own that failed, or returned what it must not."""


class FitRefused(LongrunError):
    """Runs that no scaling law can be fitted to; the message says why, by method."""


class ResourceError(LongrunError):
    """Too little memory or disk for what was asked, found before the work starts."""


class ArtifactError(LongrunError):
    """An artifact that cannot be used."""


class MissingArtifact(ArtifactError):
    """An artifact, or a file of one, that is not there: it was never finished, or was deleted."""


class DamagedArtifact(ArtifactError):
    """An artifact whose files are not what its manifest says, or a file of one that is not the value that it should hold."""


class NewerFormat(ArtifactError):
    """A manifest, or a value in a file, written by a later version of longrun."""


class StoreError(LongrunError):
    """An artifact store that cannot be reached, or that refuses."""


class TrackingError(LongrunError):
    """An MLflow server that cannot be reached, or that refuses."""


class ClusterError(LongrunError):
    """A cluster, or a service on it, that cannot be reached, or that refuses."""


class EndpointError(ClusterError):
    """Nothing answers where a service should be, or what answers is another service."""


class LoginRefused(ClusterError):
    """A service does not know the user, or does not let them do this."""


class ImageMissing(ClusterError):
    """An image that tasks run in cannot be had from its registry."""


class QuotaExceeded(ClusterError):
    """A namespace has no room for what was asked."""


class CheckFailed(LongrunError):
    """A critical check between two stages did not hold."""


class TrainingError(LongrunError):
    """Training that cannot start or go on: non-finite loss, a lost worker, no usable batch."""


class CheckpointError(TrainingError):
    """A training checkpoint that is incomplete, changed, or of another model or layout."""


class SupersededAttempt(CheckpointError):
    """An attempt at a training that goes on although a later one has taken its checkpoints over."""


class RegistrationRefused(LongrunError):
    """The promotion rule says no."""


class HomeError(LongrunError):
    """A home directory that cannot be used, or is in use by another run."""

    exit_code = 2


def require(condition: bool, owner: object, field: str, value: object, allowed: str) -> None:
    """Raise `ConfigError` naming the field, its value and what is allowed, unless `condition` holds."""
    if not condition:
        raise ConfigError(f"{type(owner).__name__}.{field} is {value!r}; allowed: {allowed}")


def single_line(error: BaseException | str, max_characters: int = 0) -> str:
    """What an error says, in one line, cut after `max_characters` unless that is 0; its class where it says nothing."""
    text = " ".join(str(error).split()) or (type(error).__name__ if isinstance(error, BaseException) else "")
    return text[:max_characters] if max_characters else text


def unknown(what: str, name: str, allowed: list[str]) -> str:
    """A message for a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown {what} {name!r}{hint}; allowed: {', '.join(allowed)}"
