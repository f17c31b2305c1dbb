"""Defines a run and the order for one step, which Flyte passes to the step's task."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import TrainingState
from infra import caching
from infra.cluster.pods import shared_directory
from infra.urls import HERE
from workflows.steps.journal import Journal
from workflows.steps.labels import Labels

if TYPE_CHECKING:
    from components.ports import ArtifactStore, RemoteScratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """A training state of another run from which pretraining continues, for another token budget."""

    run: str
    """Id of the other run."""
    state: TrainingState
    """The other run's training state at the step where this run branches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Options of a run besides its recipe."""

    until: str = ""
    """Last stage to run, or a step of `stages.ENDS`; empty: all stages."""
    fresh: tuple[str, ...] = ()
    """Steps to execute even if their artifacts are cached."""
    changes: tuple[str, ...] = ()
    """FIELD=VALUE of each `--set`, for the journal."""
    branch: Branch | None = None
    """Branch of another run's pretraining; None: pretraining starts at the first step."""
    labels: Labels = field(default_factory=Labels)
    """Tags, note and user of the run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of the pipeline: its locations and its options.

    It is passed to the steps' tasks, so it contains only text, from which each task opens the store and the journal.
    """

    home: str
    """The home directory, absolute."""
    directory: str
    """The run's own directory, for its events and logs."""
    tracking_uri: str
    """URI of MLflow's tracking store."""
    mlflow_run: str
    """Id of the parent run in MLflow."""
    recipe: str = ""
    """Name of the recipe or sweep."""
    artifact_root: str = HERE
    """Where artifacts are stored: a URL, or `home`."""
    options: RunOptions = field(default_factory=RunOptions)

    @property
    def store(self) -> "ArtifactStore":
        """The artifact store of this run."""
        from infra.storage import store_at

        return store_at(self.artifact_root, self.shared_directory)

    @property
    def root(self) -> str:
        """Absolute URI of the artifact store."""
        return self.shared_directory.absolute().as_uri() if self.artifact_root == HERE else self.artifact_root

    @property
    def trunk(self) -> TrainingState | None:
        """The training state that pretraining resumes from; None: it starts at the first step."""
        return self.options.branch.state if self.options.branch else None

    @property
    def shared_directory(self) -> Path:
        """The directory that the driver, training workers and shard workers share."""
        return shared_directory(Path(self.home))

    @property
    def ray_state(self) -> Path:
        """Directory of the state of this run's Ray."""
        return ray_state_of(Path(self.home), self.journal)

    @property
    def journal(self) -> Journal:
        """The journal of this run: its events and logs."""
        return Journal(Path(self.directory))


def ray_state_of(home: Path, journal: Journal) -> Path:
    """Directory of the state of a run's Ray. Its name is short, because paths of Unix sockets are limited: the run's id without
    its date."""
    return home / "ray" / (journal.name.partition("-")[2] or journal.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """The arguments of a step's task besides its config and inputs."""

    step: str
    """The step's name."""
    cache_key: str
    """sha256 hex that decides reuse, see `infra.caching`."""
    code_digest: str
    """sha256 hex of the source text, for the manifest's record."""
    run: Run

    @property
    def store(self) -> "ArtifactStore":
        """The artifact store of the run."""
        return self.run.store

    @property
    def fresh(self) -> bool:
        """Whether the step must start over instead of resuming an earlier attempt."""
        return self.step in self.run.options.fresh

    @property
    def scratch(self) -> Path:
        """A directory for checkpoints that survives a kill and is deleted when the step's artifact is published."""
        return self.store.scratch(self.step, self.cache_key)

    @property
    def remote_scratch(self) -> "RemoteScratch | None":
        """A folder for checkpoints in the bucket, deleted like `scratch`; None if the store is on this machine."""
        return self.store.remote_scratch(self.step, self.cache_key)

    @property
    def index(self) -> Path:
        """A directory for finished work that later runs with the same code and environment reuse.

        It stays when the step's artifact is published; `longrun gc` deletes it.
        """
        made_by = hashlib.sha256(f"{self.code_digest} {caching.environment_digest()}".encode()).hexdigest()
        return self.store.scratch(f"{self.step}-index", made_by)
