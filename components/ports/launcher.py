"""Starting the same function on one or many training workers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from components.errors import ConfigError
from components.ports.metrics import Metrics

Spec = TypeVar("Spec")
Result = TypeVar("Result")


class TrainingReporter(Protocol):
    """What a training worker knows of its rank, and where it reports its progress."""

    @property
    def rank(self) -> int:
        """Global rank of this worker, from 0."""
        ...

    @property
    def world_size(self) -> int:
        """Number of workers."""
        ...

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Report that `step` of `total_steps` is done, with its figures; only rank 0's report is forwarded.

        Steps replayed after a failure, and those before the checkpoint that training resumes from, are reported again under the
        same step.
        """
        ...


class Launcher(Protocol):
    """Runs a function on workers and waits for all of them."""

    overhead_seconds: float
    """Wall time spent in `launch` before the first worker entered `work` and after the last one left it."""

    def launch(
        self,
        work: Callable[[Spec, TrainingReporter], Result],
        spec: Spec,
        *,
        workers: int,
        metrics: Metrics,
        min_workers: int | None = None,
    ) -> list[Result]:
        """Call `work(spec, reporter)` in every worker; results in the order of ranks.

        `work` is an importable function, `spec` and the results are picklable; all paths in them are absolute. A process group
        (gloo or nccl) exists in the workers where `workers` > 1. Where workers are lost `work` is called again in all of them;
        with `min_workers` they may be fewer, but not fewer than that. An exception of `work` that is a `LongrunError` is raised
        again as it is.
        """
        ...


@dataclass
class RecordingReporter:
    """Hands what rank 0 reports to `metrics`, in this process."""

    metrics: Metrics
    rank: int = 0
    world_size: int = 1

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Log the values and the progress."""
        if self.rank == 0:
            self.metrics.log(step, values)
            self.metrics.progress(step, total_steps, "steps")


@dataclass
class InProcessLauncher:
    """Runs the function in this process: one worker, no process group."""

    overhead_seconds: float = field(default=0.0, init=False)

    def launch(
        self,
        work: Callable[[Spec, TrainingReporter], Result],
        spec: Spec,
        *,
        workers: int,
        metrics: Metrics,
        min_workers: int | None = None,
    ) -> list[Result]:
        """Call `work` here. Raises `ConfigError` for more than one worker."""
        if workers != 1:
            raise ConfigError(f"the in-process launcher runs 1 worker, not {workers}; use the Ray launcher")
        started = time.monotonic()
        reporter = RecordingReporter(metrics)
        entered = time.monotonic()
        result = work(spec, reporter)
        self.overhead_seconds += entered - started
        return [result]
