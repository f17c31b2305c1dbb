"""Registers models in MLflow: names, versions and aliases that point to artifacts by URI and both digests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from components.artifacts import Artifact
from components.errors import ConfigError, MissingArtifact
from infra.mlflow.tracking import ask

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

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
    tracking_uri: str, name: str, artifact: Artifact, *, source: str, run_id: str, alias: str, tags: Mapping[str, str]
) -> tuple[Version, bool]:
    """Register an artifact as a new version, unless a version has the same content; returns the version and whether it is new."""
    for version in versions(tracking_uri, name):
        if version.artifact.content == artifact.content:
            return version, False
    all_tags = {_DIGEST: artifact.digest, _CONTENT: artifact.content, _URI: artifact.uri, **tags}

    def create(mlflow: "MlflowClient") -> Version:
        return _version(mlflow.create_model_version(name, source, run_id, tags=all_tags))

    def created(mlflow: "MlflowClient") -> Version | None:
        return next((version for version in _versions(mlflow, name) if version.artifact == artifact), None)

    ask(tracking_uri, lambda mlflow: _create_name(mlflow, name))
    made = ask(tracking_uri, create, recover=created)
    ask(tracking_uri, lambda mlflow: mlflow.set_registered_model_alias(name, alias, str(made.version)))
    return replace(made, aliases=(alias,)), True


def models(tracking_uri: str) -> list[Version]:
    """Every registered version of every model, by name and version."""
    registered = ask(tracking_uri, lambda mlflow: mlflow.search_registered_models())
    return [version for name in sorted(model.name for model in registered) for version in versions(tracking_uri, name)]


def versions(tracking_uri: str, name: str) -> list[Version]:
    """The versions of one model, oldest first; empty if the name is unknown."""
    return ask(tracking_uri, lambda mlflow: _versions(mlflow, name))


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


def _versions(mlflow: "MlflowClient", name: str) -> list[Version]:
    numbers = sorted(int(raw.version) for raw in mlflow.search_model_versions(f"name = '{name}'"))
    # a search does not return aliases
    return [_version(mlflow.get_model_version(name, str(number))) for number in numbers]


def _version(raw: "ModelVersion") -> Version:
    return Version(
        name=raw.name,
        version=int(raw.version),
        aliases=tuple(sorted(raw.aliases)),
        artifact=Artifact(uri=raw.tags.get(_URI, ""), digest=raw.tags.get(_DIGEST, ""), content=raw.tags.get(_CONTENT, "")),
        tags=dict(raw.tags),
    )
