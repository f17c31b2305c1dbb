"""Provides a component with the directories and ports that its parameters ask for by name."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Artifact, CheckReport, Making, Manifest
from components.files import JSON
from infra.mlflow import tracking
from workflows.steps import journal, provenance
from workflows.steps.lock import using
from workflows.steps.run import Order
from workflows.steps.series import StepSeries

if TYPE_CHECKING:
    from components.ports import Launcher, Metrics, RemoteScratch, ShardEngine

PORTS = ("output", "scratch", "uploads", "index", "engine", "launcher", "metrics", "sizes")
"""Names of the parameters that a component may have besides config and inputs: properties of `Work`."""


@dataclass
class Work:
    """The execution of one step: the directories, ports and metrics that its component uses."""

    order: Order
    output: Path
    """An empty directory for the component's output."""
    mlflow_run: str
    """Id of the step's run in MLflow."""
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    """The inputs as the manifest names them."""
    overhead_seconds: float = 0.0
    """Seconds within the component's call that do not count as its own, such as starting Ray."""
    checks: tuple[CheckReport, ...] = ()
    started: str = field(default_factory=provenance.now)
    """Time of the start in UTC."""
    measurements: dict[str, float] = field(default_factory=dict)
    """Measurements that may differ between equal runs, such as seconds and memory."""
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """Releases what the work holds when the step ends."""
    _ports: list[Any] = field(default_factory=list)
    _metrics: tracking.StepMetrics = field(init=False)
    _series: StepSeries = field(init=False)

    def __post_init__(self) -> None:
        self._series = StepSeries(self.order.run.journal, self.order.step)
        self._metrics = tracking.StepMetrics(self.order.run.tracking_uri, self.mlflow_run)

    @property
    def scratch(self) -> Path:
        """A directory for checkpoints that survives a kill and is deleted when the step's artifact is published."""
        return self.order.scratch

    @property
    def uploads(self) -> "RemoteScratch | None":
        """A folder in the artifact store like `scratch`, which outlives this machine; None if the store is on this machine."""
        return self.order.remote_scratch

    @property
    def index(self) -> Path:
        """A directory for finished work that later runs with the same code and environment reuse."""
        self.held.enter_context(using(self.order.index))
        return self.order.index

    @property
    def sizes(self) -> dict[str, int]:
        """Path -> bytes of every file of the input `artifact`, including files that are not downloaded; used by checks."""
        return {record.path: record.size for record in self.manifest(self.inputs["artifact"]).files}

    @property
    def metrics(self) -> "Metrics":
        """The port that takes metrics, measurements and progress."""
        return self

    def local(self, value: Any, only: tuple[str, ...] = ()) -> Any:
        """The local directory of an input, or of each artifact in a dictionary or list; None for an absent input.

        It contains at least the files that match the paths and patterns in `only`; if that is empty, all files.
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
        """The shard engine on Ray Data. Releases idle training workers first, because they reserve CPUs."""
        self._start_ray()
        from infra.ray import workers as ray_workers
        from infra.ray.data import RayShardEngine

        ray_workers.release()
        return self._port(RayShardEngine())

    @property
    def launcher(self) -> "Launcher":
        """The launcher of training workers on Ray Train."""
        self._start_ray()
        from infra.ray.train import RayLauncher

        return self._port(RayLauncher(storage_path=self.order.run.shared_directory / "ray-train"))

    def _start_ray(self) -> None:
        from infra.ray.local import ensure_ray

        self.overhead_seconds += ensure_ray(self.order.run.ray_state)

    def _port(self, port: Any) -> Any:
        self._ports.append(port)
        return port

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add metrics of a training step to the series of the run, and send what is new in it to MLflow.

        Step 0 has metrics of the whole work, which are not part of a series.
        """
        if done := int(values.get("resumed_from", 0)):
            self.order.run.journal.write("resumed", step=self.order.step, done=done)
        self._metrics.log(step, self._series.append(step, values) if step else values)

    def flush(self) -> None:
        """Store the series, and send buffered metrics to MLflow."""
        self._series.flush()
        self._metrics.flush()

    def measured(self, values: Mapping[str, float]) -> None:
        """Add measurements to the record of the artifact."""
        self.measurements |= values

    def progress(self, done: float, total: float, unit: str) -> None:
        """Report progress to the listeners of this process."""
        journal.progress(self.order.step, done, total, unit)

    def report(self, check: CheckReport) -> dict[str, JSON]:
        """Store the report of a check for the manifest; returns its figures."""
        self.checks = (*self.checks, check)
        return {"expectations": len(check.expectations), "failed": len(check.failures)}

    def making(self, step: str, cache_key: str) -> Making:
        """The record of how the artifact of this step and key was made; call it when the work is done."""
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
        """Seconds of the component's call spent on orchestration: starting Ray, and the overhead of the ports."""
        return self.overhead_seconds + sum(port.overhead_seconds for port in self._ports)
