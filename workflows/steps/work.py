"""A step while it is being made: the directories and ports that a component asks for by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Artifact, CheckReport, Making, Manifest
from components.files import JSON
from infra.mlflow import tracking
from workflows.steps import journal, provenance
from workflows.steps.run import Order

if TYPE_CHECKING:
    from components.ports import Launcher, Metrics, RemoteScratch, ShardEngine

PORTS = ("output", "scratch", "uploads", "index", "engine", "launcher", "metrics", "sizes")
"""What a component may ask for besides its config and inputs: these properties of `Work`."""


@dataclass
class Work:
    """A step while it is being made: the directories, ports and metrics that its component uses."""

    order: Order
    output: Path
    """An empty directory for what the component makes."""
    mlflow_run: str
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    """The inputs as the manifest names them."""
    overhead_seconds: float = 0.0
    """Time inside the component's call that was not the component's: opening inputs, starting Ray and trainers."""
    checks: tuple[CheckReport, ...] = ()
    started: str = field(default_factory=provenance.now)
    """In UTC."""
    measurements: dict[str, float] = field(default_factory=dict)
    """What a clock or the machine said of the step."""
    _ports: list[Any] = field(default_factory=list)
    _metrics: tracking.StepMetrics = field(init=False)

    def __post_init__(self) -> None:
        self._metrics = tracking.StepMetrics(self.order.run.tracking_uri, self.mlflow_run)

    @property
    def scratch(self) -> Path:
        """A directory for checkpoints, which survives a kill and is removed when the step is published."""
        return self.order.scratch

    @property
    def uploads(self) -> "RemoteScratch | None":
        """The same in the artifact store, for what must outlive this machine; None: the store is on this machine."""
        return self.order.remote_scratch

    @property
    def index(self) -> Path:
        """A directory for finished work that later runs of the same code in the same environment reuse."""
        return self.order.index

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file of the input `artifact` by path, also of those that are not opened: for its check."""
        return {record.path: record.size for record in self.manifest(self.inputs["artifact"]).files}

    @property
    def metrics(self) -> "Metrics":
        """Takes figures and progress."""
        return self

    def local(self, value: Any, only: tuple[str, ...] = ()) -> Any:
        """The directory of an input, or of each artifact of a dictionary or a list; None for an absent one.

        It has at least the files that `only` names by path or pattern: all, if it names none.
        """
        if isinstance(value, Artifact):
            return self.order.store.local(value, only)
        if isinstance(value, Mapping):
            return {name: self.local(artifact, only) for name, artifact in value.items()}
        return None if value is None else [self.local(artifact, only) for artifact in value]

    def manifest(self, artifact: Artifact) -> Manifest:
        """The manifest of an input."""
        return self.order.store.manifest(artifact.uri)

    @property
    def engine(self) -> "ShardEngine":
        """Shard work on Ray Data. Idle training workers are released first, because they hold processors."""
        self._start_ray()
        from infra.ray import workers as ray_workers
        from infra.ray.data import RayShardEngine

        ray_workers.release()
        return self._port(RayShardEngine())

    @property
    def launcher(self) -> "Launcher":
        """Training workers on Ray Train."""
        self._start_ray()
        from infra.ray.train import RayLauncher

        return self._port(RayLauncher(storage_path=self.order.run.shared_directory / "ray-train"))

    def _start_ray(self) -> None:
        from infra.ray.local import ensure_ray

        self.overhead_seconds += ensure_ray(Path(self.order.run.home))

    def _port(self, port: Any) -> Any:
        self._ports.append(port)
        return port

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log metrics of a training step to MLflow; steps that a restarted worker repeats are skipped."""
        self._metrics.log(step, values)

    def flush(self) -> None:
        """Send buffered metrics to MLflow."""
        self._metrics.flush()

    def measured(self, values: Mapping[str, float]) -> None:
        """Keep measurements for the record of the artifact."""
        self.measurements |= values

    def progress(self, done: float, total: float, unit: str) -> None:
        """Show progress to the listeners of this process."""
        journal.progress(self.order.step, done, total, unit)

    def report(self, check: CheckReport) -> dict[str, JSON]:
        """Keep the outcome of a check for the manifest, and return its figures."""
        self.checks = (*self.checks, check)
        return {"expectations": len(check.expectations), "failed": len(check.failures)}

    def making(self, step: str, cache_key: str) -> Making:
        """When, where and by whom the artifact of that step and key is made, now that its work is done."""
        return Making(
            started=self.started,
            finished=provenance.now(),
            attempt=self.order.store.count_attempts(step, cache_key) + 1,
            user=provenance.user(),
            machine=provenance.machine(),
            devices=provenance.devices(),
            version=provenance.version(),
            commit=provenance.commit(),
            root=self.order.run.root,
            measurements=self.measurements,
        )

    @property
    def component_overhead(self) -> float:
        """Seconds of the component's call that were orchestration: starting Ray, and what the ports count."""
        return self.overhead_seconds + sum(port.overhead_seconds for port in self._ports)
