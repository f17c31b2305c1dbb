"""Registers models in MLflow: names, versions and aliases that point to artifacts by URI and both digests.

MLflow's registry has no conditional requests, so two processes can create two versions of the same content. Whoever registers
that content keeps the version with the lowest number, deletes the others and sets the alias last. All of this can be repeated, so
the next registration of the content completes one that was killed between two requests. MLflow does not use the number of a
deleted version again, so nobody deletes a newer version by mistake.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from components.artifacts import Artifact
from components.errors import ConfigError, MissingArtifact
from infra.mlflow.tracking import ask

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

MAX_DESCRIPTION = 5000
"""Maximum number of characters of a version's description: the size of the column in MLflow's database."""

_DIGEST, _CONTENT, _URI = "longrun.digest", "longrun.content", "longrun.uri"


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A registered version of a model."""

    name: str
    version: int
    aliases: tuple[str, ...]
    artifact: Artifact
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def register(
    tracking_uri: str,
    name: str,
    artifact: Artifact,
    *,
    source: str,
    run_id: str,
    alias: str,
    tags: Mapping[str, str],
    description: str = "",
) -> tuple[Version, bool]:
    """Register an artifact as a new version, unless a version has the same content; returns the version and whether it is new.

    The alias is set in either case: it marks the content that was registered last.
    """
    all_tags = {_DIGEST: artifact.digest, _CONTENT: artifact.content, _URI: artifact.uri, **tags}

    def create(mlflow: "MlflowClient") -> int:
        return int(mlflow.create_model_version(name, source, run_id, tags=all_tags, description=description).version)

    def created(mlflow: "MlflowClient") -> int | None:
        return next((version.version for version in _versions(mlflow, name) if version.artifact == artifact), None)

    ask(tracking_uri, lambda mlflow: _create_name(mlflow, name))
    same, number = _of_content(tracking_uri, name, artifact.content), 0
    if not same:
        number = ask(tracking_uri, create, recover=created)
        same = _of_content(tracking_uri, name, artifact.content)
    kept, *others = same
    for other in others:
        _delete(tracking_uri, other)
    if alias not in kept.aliases:
        ask(tracking_uri, lambda mlflow: _set_alias(mlflow, kept, alias))
    return replace(kept, aliases=tuple(sorted({*kept.aliases, alias}))), kept.version == number


def models(tracking_uri: str) -> list[Version]:
    """Every registered version of every model, by name and version."""
    names = ask(tracking_uri, lambda mlflow: sorted(model.name for model in _all(mlflow.search_registered_models)))
    return [version for name in names for version in versions(tracking_uri, name)]


def versions(tracking_uri: str, name: str) -> list[Version]:
    """The versions of one model, oldest first; empty if the name is unknown."""
    return ask(tracking_uri, lambda mlflow: _versions(mlflow, name))


def _of_content(tracking_uri: str, name: str, content: str) -> list[Version]:
    return [version for version in versions(tracking_uri, name) if version.artifact.content == content]


def resolve(tracking_uri: str, model: str) -> Version:
    """The version that `model` refers to: `name` (its newest version), `name/version` or `name@alias`.

    Raises:
        ConfigError: `model` has another form.
        MissingArtifact: the model, version or alias does not exist.
    """
    name, separator, rest = model.partition("@") if "@" in model else model.partition("/")
    if not name or (separator and not rest) or (separator == "/" and not rest.isdigit()):
        raise ConfigError(f"model {model!r} has the wrong form; allowed: name, name/version or name@alias")
    candidates = versions(tracking_uri, name)
    if not candidates:
        others = ", ".join(sorted({version.name for version in models(tracking_uri)})) or "none yet; `longrun run` registers one"
        raise MissingArtifact(f"no registered model {name!r}; registered: {others}")
    matching = [v for v in candidates if not separator or (rest in v.aliases if separator == "@" else v.version == int(rest))]
    if not matching:
        what = "alias" if separator == "@" else "version"
        known = sorted({a for v in candidates for a in v.aliases}) if separator == "@" else [str(v.version) for v in candidates]
        raise MissingArtifact(f"model {name!r} has no {what} {rest!r}; it has {', '.join(known) or 'none'}")
    return matching[-1]


def _create_name(mlflow: "MlflowClient", name: str) -> None:
    """Create the registered model that versions belong to, if it does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        mlflow.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _delete(tracking_uri: str, version: Version) -> None:
    """Delete a version, unless it has an alias, by which it may be in use, or is deleted already."""
    from mlflow.exceptions import MlflowException

    def delete(mlflow: "MlflowClient") -> None:
        try:
            mlflow.delete_model_version(version.name, str(version.version))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    if not version.aliases:
        ask(tracking_uri, delete)


def _set_alias(mlflow: "MlflowClient", version: Version, alias: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        mlflow.set_registered_model_alias(version.name, alias, str(version.version))
    except MlflowException:
        # MLflow fails if two processes create an alias at once; after that it exists and can be moved
        if alias not in mlflow.get_registered_model(version.name).aliases:
            raise
        mlflow.set_registered_model_alias(version.name, alias, str(version.version))


def _versions(mlflow: "MlflowClient", name: str) -> list[Version]:
    quote = '"' if "'" in name else "'"
    listed = _all(functools.partial(mlflow.search_model_versions, f"name = {quote}{name}{quote}"))
    numbers = sorted(int(raw.version) for raw in listed)
    # a search does not return aliases
    versions = (_version_if_any(mlflow, name, number) for number in numbers)
    return [version for version in versions if version is not None]


def _version_if_any(mlflow: "MlflowClient", name: str, number: int) -> Version | None:
    """A version; None if it was deleted, as by a registration of the same content at the same time."""
    from mlflow.exceptions import MlflowException

    try:
        return _version(mlflow.get_model_version(name, str(number)))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _all(search: Callable[..., Any]) -> Iterator[Any]:
    """Everything that a search of MLflow finds; its answers are pages."""
    page = search()
    yield from page
    while page.token:
        page = search(page_token=page.token)
        yield from page


def _version(raw: "ModelVersion") -> Version:
    return Version(
        name=raw.name,
        version=int(raw.version),
        aliases=tuple(sorted(raw.aliases)),
        artifact=Artifact(uri=raw.tags.get(_URI, ""), digest=raw.tags.get(_DIGEST, ""), content=raw.tags.get(_CONTENT, "")),
        tags=dict(raw.tags),
    )
