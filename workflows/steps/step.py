"""How every step is done: look for its artifact, else make it, record it, and hand it on.

`obtain` runs in the driver and decides reuse by what stands in the store, so that a hit is always whole.
`make` runs in the step's own task, and turns a component's output directory into a published artifact.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from components.artifacts import Artifact, Check, CheckReport, Manifest, TrainingState
from components.errors import LongrunError, TrackingError
from infra import caching
from infra.cluster.pods import shared_directory
from infra.mlflow import tracking
from infra.urls import HERE
from workflows.steps import journal
from workflows.steps.gates import gate

if TYPE_CHECKING:
    from components.ports import ArtifactStore, Launcher, RemoteScratch, ShardEngine

Kind = TypeVar("Kind", bound=Artifact)


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
    """One run of the pipeline: where it keeps things, and its options."""

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
    def trunk(self) -> TrainingState | None:
        """The training state that pretraining resumes from; None: it starts at its first step."""
        return self.options.branch.state if self.options.branch else None

    @property
    def shared_directory(self) -> Path:
        """The directory that the driver shares with training workers and shard work."""
        return shared_directory(Path(self.home))

    @property
    def journal(self) -> journal.Journal:
        """The events and logs of this run."""
        return journal.Journal(Path(self.directory))


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a step's task gets besides its config and inputs."""

    step: str
    cache_key: str
    code_digest: str
    run: Run


async def obtain(
    run: Run, task: Any, config: Any, *, step: str | None = None, facts: Mapping[str, str] | None = None, **inputs: Any
) -> Any:
    """The artifact of a step: from the store if it is there and undamaged, else made by its task.

    The step is named after the task's function unless `step` says otherwise. `facts` are values beside config and
    inputs that decide reuse, such as a fingerprint of raw sources. The result has the type that the task returns.
    """
    name, kind = step or task.func.__name__, get_type_hints(task.func)["return"]
    key = caching.cache_key(task.func, config, dict(_flat(inputs)), facts or {})
    cached = None if name in run.options.fresh else run.store.find(name, key)
    if cached is None:
        code = caching.code_digest(task.func, config)
        return await task(Order(step=name, cache_key=key, code_digest=code, run=run), config, **inputs)
    figures = run.store.manifest(cached.uri).figures
    run.journal.write("cached", step=name, uri=cached.uri, digest=cached.digest, figures=figures)
    return cached.as_(kind)


async def checked(run: Run, task: Any, limits: Any, *, step: str | None = None, **inputs: Any) -> Check:
    """Obtain a check, and stop the run here if it failed."""
    return gate(run.store, await obtain(run, task, limits, step=step, **inputs))


def _flat(inputs: Mapping[str, Any]) -> list[tuple[str, Artifact]]:
    flat: list[tuple[str, Artifact]] = []
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            flat += [(f"{name}.{key}", artifact) for key, artifact in value.items()]
        elif isinstance(value, Artifact):
            flat.append((name, value))
        elif value is not None:
            flat += [(f"{name}.{number}", artifact) for number, artifact in enumerate(value)]
    return flat


@dataclass
class Work:
    """A step while it is being made: the directories, ports and metrics that its component uses."""

    order: Order
    output: Path
    mlflow_run: str
    overhead_seconds: float = 0.0
    """Time inside the component's call that was not the component's: starting Ray and trainers."""
    checks: tuple[CheckReport, ...] = ()
    _ports: list[Any] = field(default_factory=list)
    _metrics: tracking.StepMetrics = field(init=False)

    def __post_init__(self) -> None:
        self._metrics = tracking.StepMetrics(self.order.run.tracking_uri, self.mlflow_run)

    @property
    def scratch(self) -> Path:
        """A directory for checkpoints, which survives a kill and is removed when the step is published."""
        return self.order.run.store.scratch(self.order.step, self.order.cache_key)

    @property
    def remote_scratch(self) -> "RemoteScratch | None":
        """A folder of the artifact store that outlives this machine, removed likewise; None: the store is on this machine."""
        return self.order.run.store.remote_scratch(self.order.step, self.order.cache_key)

    @property
    def index(self) -> Path:
        """A directory for finished work that later runs of the same code in the same environment reuse."""
        return index_of(self.order)

    def local(self, artifact: Artifact, *only: str) -> Path:
        """The directory of an input, with at least the files that `only` names by path or pattern: all, if it names none."""
        return self.order.run.store.local(artifact, only)

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

    def progress(self, done: float, total: float, unit: str) -> None:
        """Show progress to the listeners of this process."""
        journal.progress(self.order.step, done, total, unit)

    def report(self, check: CheckReport) -> dict[str, Any]:
        """Keep the outcome of a check for the manifest, and return its figures."""
        self.checks = (*self.checks, check)
        return {"expectations": len(check.expectations), "failed": len(check.failures)}

    @property
    def component_overhead(self) -> float:
        """Seconds of the component's call that were orchestration: starting Ray, and what the ports count."""
        return self.overhead_seconds + sum(port.overhead_seconds for port in self._ports)


Component = Callable[[Work], Mapping[str, Any]]
"""Calls an entry function of a component; its figures."""


def index_of(order: Order) -> Path:
    """The directory of finished work that outlives a step's publication, by code and environment; `longrun gc` deletes it."""
    made_by = hashlib.sha256(f"{order.code_digest} {caching.environment_digest()}".encode()).hexdigest()
    return order.run.store.scratch(f"{order.step}-index", made_by)


def make(order: Order, kind: type[Kind], config: Any, component: Component, **inputs: Any) -> Kind:
    """Call `component`, which fills `Work.output` and returns figures, and publish what it made.

    A failure is written to the run's journal and raised again; a half-written output is removed.
    """
    run, started = order.run, time.monotonic()
    if order.step in run.options.fresh:
        for directory in (run.store.scratch(order.step, order.cache_key), index_of(order)):
            shutil.rmtree(directory, ignore_errors=True)
    run.journal.write("started", step=order.step, config=caching.as_json(config))
    mlflow_run = tracking.start_run(run.tracking_uri, order.step, parent=run.mlflow_run)
    try:
        with run.store.writing(order.step) as output, journal.output_to(run.journal.log(order.step)):
            work = Work(order=order, output=output, mlflow_run=mlflow_run)
            figures, component_seconds = _called(component, work)
            artifact = _published(work, kind, config, dict(_flat(inputs)), figures)
            seconds = {"seconds": time.monotonic() - started, "component_seconds": component_seconds}
            facts = {"uri": artifact.uri, "digest": artifact.digest, "figures": figures}
            run.journal.write("made", step=order.step, **facts, **seconds)
    except BaseException as error:
        tracking.fail_run(run.tracking_uri, mlflow_run)
        failure = {"error": type(error).__name__, "message": str(error), "known": isinstance(error, LongrunError)}
        run.journal.write("failed", step=order.step, **failure)
        raise
    tracking.finish_run(run.tracking_uri, mlflow_run)
    return artifact


def _called(component: Component, work: Work) -> tuple[dict[str, Any], float]:
    """The component's figures, and the seconds that were its own; its metrics are sent even if it fails."""
    entered = time.monotonic()
    try:
        figures = dict(component(work))
    except TrackingError:
        raise  # buffered metrics would wait for the same server again
    except BaseException:
        work.flush()
        raise
    work.flush()
    return figures, time.monotonic() - entered - work.component_overhead


def _published(work: Work, kind: type[Kind], config: Any, inputs: dict[str, Artifact], figures: dict[str, Any]) -> Kind:
    """Publish the output with its manifest, and put its pages, config and figures into MLflow."""
    from components.ports.store import records_of

    order, run = work.order, work.order.run
    manifest = Manifest(
        step=order.step,
        kind=kind.__name__,
        cache_key=order.cache_key,
        config=caching.as_json(config),
        code_digest=order.code_digest,
        environment_digest=caching.environment_digest(),
        inputs=inputs,
        files=records_of(work.output),
        figures=figures,
        checks=work.checks,
    )
    for page in sorted([*work.output.glob("*.html"), *work.output.glob("*.png")]):
        tracking.log_file(run.tracking_uri, work.mlflow_run, page)
    artifact = run.store.publish(work.output, manifest)
    tags = {"uri": artifact.uri, "digest": artifact.digest, "cache_key": order.cache_key, "code_digest": order.code_digest}
    tracking.log_record(run.tracking_uri, work.mlflow_run, config=manifest.config, figures=figures, tags=tags)
    return artifact.as_(kind)
