"""Settings of the current user: the home, and optionally a bucket for artifacts and an MLflow server."""

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
    """Where longrun keeps its state: home directory, artifacts and MLflow's records."""

    home: Path
    """Directory for everything that longrun writes on this machine: artifacts or copies, scratch, runs, and the state of MLflow,
    Flyte and Ray."""
    artifact_root: str = HERE
    """Where artifacts are stored: s3://bucket/prefix, gs://bucket/prefix, or `home` for the home directory."""
    mlflow_uri: str = HERE
    """URL of MLflow's tracking and registry server, http:// or https://, or `home` for a SQLite file in the home directory."""
    profile: str = ""
    """Name of the profile of the cluster whose artifacts and records are read; empty: those of this home."""

    def __post_init__(self) -> None:
        for name, schemes in (("artifact_root", ("s3", "gs")), ("mlflow_uri", ("http", "https"))):
            if getattr(self, name) != HERE:
                require_url(self, name, schemes, or_else=f" or {HERE}")

    @property
    def tracking_uri(self) -> str:
        """URI of the tracking and registry store, in MLflow's form."""
        return self.mlflow_uri if self.mlflow_uri != HERE else f"sqlite:///{self.home}/mlflow/mlflow.db"

    @property
    def store(self) -> "ArtifactStore":
        """The artifact store: in the home, or in the bucket."""
        from infra.storage import store_at

        return store_at(self.artifact_root, self.copies)

    @property
    def copies(self) -> Path:
        """Directory for local copies of artifacts in a bucket; each cluster has its own, because names may be the same."""
        return self.home / "copies" / self.profile if self.profile else self.home

    @property
    def locations(self) -> Path:
        """File in which the last run of this home saved where artifacts and MLflow's records are."""
        return self.home / "record.toml"

    @property
    def runs(self) -> Path:
        """Directory with one subdirectory per run for its events and logs."""
        return self.home / "runs"


def settings(home: str | None = None, *, artifact_root: str = "", mlflow_uri: str = "") -> Settings:
    """Settings for `home`, else `$LONGRUN_HOME`, else `.longrun` in the current directory. Also switches telemetry off.

    Locations of artifacts and MLflow come from the arguments, else from the profile in `$LONGRUN_PROFILE`, else from the last run
    of this home, else they are in the home.

    Raises:
        ConfigError: a location is invalid, or the file with the last run's locations is damaged.
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
    """Settings for reading the artifacts and records of a cluster, at the addresses in `profile`."""
    return replace(chosen, artifact_root=profile.artifact_root, mlflow_uri=profile.mlflow_uri, profile=profile.name)


_LOCATIONS = ("artifact_root", "mlflow_uri")


def remember(chosen: Settings) -> None:
    """Save the locations in `chosen` for later commands in this home. They contain no secrets: `Settings` refuses those."""
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
        raise ConfigError(
            f"{path} cannot be read: {error}; delete it, and give --artifact-root and --mlflow-uri again"
        ) from error


def usable_home(home: Path) -> Path:
    """Create `home` if needed, check that it is writable, and return it.

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
