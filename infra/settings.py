"""Where this user's longrun keeps its state: the home, and the bucket and the MLflow server that may stand in for it."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError, HomeError
from components.files import write_text
from infra.cluster.process_profile import profile_of_process
from infra.cluster.profiles import Profile
from infra.urls import HERE, require_url
from infra.variables import avoid_metadata, quieten, variable

if TYPE_CHECKING:
    from components.ports import ArtifactStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where this user's longrun keeps its state."""

    home: Path
    """Everything longrun writes on this machine: artifacts or copies, scratch, runs, MLflow, Flyte's and Ray's own state."""
    artifact_root: str = HERE
    """Where artifacts are kept: s3://bucket/prefix, gs://bucket/prefix, or the home."""
    mlflow_uri: str = HERE
    """MLflow's tracking and registry server: http:// or https://, or a SQLite file in the home."""
    profile: str = ""
    """Name of the profile whose cluster is looked at from outside; empty: this home's own artifacts and records."""

    def __post_init__(self) -> None:
        for name, schemes in (("artifact_root", ("s3", "gs")), ("mlflow_uri", ("http", "https"))):
            if getattr(self, name) != HERE:
                require_url(self, name, schemes, or_else=f" or {HERE}")

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking and registry store, as MLflow calls it."""
        return self.mlflow_uri if self.mlflow_uri != HERE else f"sqlite:///{self.home}/mlflow/mlflow.db"

    @property
    def store(self) -> "ArtifactStore":
        """The artifacts, here or in the bucket."""
        from infra.storage import store_at

        return store_at(self.artifact_root, self.copies)

    @property
    def copies(self) -> Path:
        """Where copies of artifacts in a bucket lie: those of a cluster apart from the home's own of the same name."""
        return self.home / "copies" / self.profile if self.profile else self.home

    @property
    def locations(self) -> Path:
        """The file that remembers where the last run of this home kept artifacts and MLflow's records."""
        return self.home / "record.toml"

    @property
    def runs(self) -> Path:
        """One directory of events and logs per run."""
        return self.home / "runs"


def settings(home: str | None = None, *, artifact_root: str = "", mlflow_uri: str = "") -> Settings:
    """Settings for `home`, else `$LONGRUN_HOME`, else `.longrun` in the current directory; telemetry is switched off.

    Artifacts and MLflow are where the arguments say, else where the profile in `$LONGRUN_PROFILE` says, else where the
    home's last run kept them, else in the home.

    Raises:
        ConfigError: a location is not one, or the home's file of locations is damaged.
    """
    quieten()
    chosen = Settings(home=Path(home or variable("LONGRUN_HOME") or ".longrun").expanduser().absolute())
    profile = profile_of_process()
    avoid_metadata(profile.object_store_endpoint if profile else "")
    known = {name: str(getattr(profile, name)) for name in _LOCATIONS} if profile else _remembered(chosen.locations)
    return replace(
        chosen,
        artifact_root=artifact_root or known.get("artifact_root", HERE),
        mlflow_uri=mlflow_uri or known.get("mlflow_uri", HERE),
    )


def settings_from_outside(chosen: Settings, profile: Profile) -> Settings:
    """The settings with which the artifacts and records of a cluster are looked at, whose addresses `profile` has."""
    return replace(chosen, artifact_root=profile.artifact_root, mlflow_uri=profile.mlflow_uri, profile=profile.name)


_LOCATIONS = ("artifact_root", "mlflow_uri")


def remember(chosen: Settings) -> None:
    """Let later commands in this home look where `chosen` keeps things. No secret is written: `Settings` refuses them."""
    if all(getattr(chosen, name) == HERE for name in _LOCATIONS):
        chosen.locations.unlink(missing_ok=True)
        return
    # a JSON string is a TOML string too
    write_text(chosen.locations, "".join(f"{name} = {json.dumps(getattr(chosen, name))}\n" for name in _LOCATIONS))


def _remembered(path: Path) -> Mapping[str, str]:
    try:
        return {name: str(value) for name, value in tomllib.loads(path.read_text(encoding="utf-8")).items() if name in _LOCATIONS}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; remove it, and name both locations at the next run") from error


def usable_home(home: Path) -> Path:
    """Create `home` if needed and prove that it can be written.

    Raises:
        HomeError: it is a file, or cannot be created or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".writable-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise HomeError(f"home {home} cannot be used: {error.strerror}; choose another with --home") from error
    return home
