"""A run, and the order of one step: what Flyte carries to the step's task, and where they keep things."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import TrainingState
from infra import caching
from infra.cluster.pods import shared_directory
from infra.urls import HERE
from workflows.steps.journal import Journal

if TYPE_CHECKING:
    from components.ports import ArtifactStore, RemoteScratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """Where pretraining leaves that of another run, for another token budget."""

    run: str
    """Id of the other run."""
    state: TrainingState
    """Its training state at that step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """What a user asks of a run besides its recipe."""

    until: str = ""
    """Last stage to run; empty for all."""
    fresh: tuple[str, ...] = ()
    """Steps to make again although they are cached."""
    branch: Branch | None = None
    """Where pretraining branches from another run; None: it starts at its first step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of the pipeline: where it keeps things, and its options.

    It travels to the steps' tasks, so that it holds text, from which each task opens the store and the journal.
    """

    home: str
    """The home directory, absolute."""
    directory: str
    """The run's own directory, for its events and logs."""
    tracking_uri: str
    mlflow_run: str
    """Id of the parent run in MLflow."""
    artifact_root: str = HERE
    """Where artifacts are kept: a URL, or the home."""
    options: RunOptions = field(default_factory=RunOptions)

    @property
    def store(self) -> "ArtifactStore":
        """The artifacts of this run."""
        from infra.storage import store_at

        return store_at(self.artifact_root, self.shared_directory)

    @property
    def root(self) -> str:
        """Absolute URI of the root of the store."""
        return self.shared_directory.absolute().as_uri() if self.artifact_root == HERE else self.artifact_root

    @property
    def trunk(self) -> TrainingState | None:
        """The training state that pretraining resumes from; None: it starts at its first step."""
        return self.options.branch.state if self.options.branch else None

    @property
    def shared_directory(self) -> Path:
        """The directory that the driver shares with training workers and shard work."""
        return shared_directory(Path(self.home))

    @property
    def journal(self) -> Journal:
        """The events and logs of this run."""
        return Journal(Path(self.directory))


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a step's task gets besides its config and inputs."""

    step: str
    cache_key: str
    code_digest: str
    run: Run

    @property
    def store(self) -> "ArtifactStore":
        """The artifacts of the run."""
        return self.run.store

    @property
    def fresh(self) -> bool:
        """Whether the step is made from its beginning, and not from what an earlier attempt left."""
        return self.step in self.run.options.fresh

    @property
    def scratch(self) -> Path:
        """A directory for checkpoints, which survives a kill and is removed when the step is published."""
        return self.store.scratch(self.step, self.cache_key)

    @property
    def remote_scratch(self) -> "RemoteScratch | None":
        """A folder of the artifact store that outlives this machine, removed likewise; None: the store is on this machine."""
        return self.store.remote_scratch(self.step, self.cache_key)

    @property
    def index(self) -> Path:
        """A directory for finished work that later runs of the same code in the same environment reuse.

        It outlives the step's publication; `longrun gc` deletes it.
        """
        made_by = hashlib.sha256(f"{self.code_digest} {caching.environment_digest()}".encode()).hexdigest()
        return self.store.scratch(f"{self.step}-index", made_by)
