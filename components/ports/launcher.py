"""Runs a function on one or many training workers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from components.errors import ConfigError
from components.ports.metrics import Metrics

SAVED = "saved_on_request"
"""Name of the value with which a training reports that it has saved a checkpoint that was wanted: the number of steps done."""

Spec = TypeVar("Spec")
Result = TypeVar("Result")


class TrainingReporter(Protocol):
    """Tells a training worker its rank, and receives its metrics and progress."""

    @property
    def rank(self) -> int:
        """Global rank of this worker, from 0."""
        ...

    @property
    def world_size(self) -> int:
        """Number of workers."""
        ...

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Report that `step` of `total_steps` is done, with its metrics; only rank 0's reports are forwarded.

        After a failure, steps that are repeated, and those before the checkpoint that training resumes from, are reported again
        with the same step number.
        """
        ...

    def checkpoint_wanted(self) -> bool:
        """Whether a checkpoint is wanted now, because this machine or the whole training is about to be stopped.

        Each request is answered once. A training asks after each step; if the answer on any rank is yes, it saves a checkpoint,
        waits until it is written, and reports `SAVED`.
        """
        ...


class Launcher(Protocol):
    """Runs a function on workers and waits for all of them."""

    overhead_seconds: float
    """Wall time in seconds spent in `launch` before the first worker started `work` and after the last one finished it."""

    def launch(
        self,
        work: Callable[[Spec, TrainingReporter], Result],
        spec: Spec,
        *,
        workers: int,
        metrics: Metrics,
        min_workers: int | None = None,
    ) -> list[Result]:
        """Call `work(spec, reporter)` in every worker; returns the results in the order of ranks.

        `work` must be an importable function; `spec` and the results must be picklable, and paths in them absolute. With more
        than one worker, a process group (gloo or nccl) exists in each. If a worker is lost, `work` is called again in all
        workers; with `min_workers`, possibly in fewer workers, but at least that many. A `LongrunError` that `work` raises is
        raised unchanged.
        """
        ...


@dataclass
class RecordingReporter:
    """Forwards the reports of rank 0 to `metrics`, in this process."""

    metrics: Metrics
    rank: int = 0
    world_size: int = 1

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Log the metrics and the progress if this is rank 0."""
        if self.rank == 0:
            self.metrics.log(step, values)
            self.metrics.progress(step, total_steps, "steps")

    def checkpoint_wanted(self) -> bool:
        """Never: what stops this process raises an exception in it."""
        return False


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
        """Call `work` in this process. Raises `ConfigError` for more than one worker."""
        if workers != 1:
            raise ConfigError(f"the in-process launcher supports 1 worker, not {workers}; use the Ray launcher")
        started = time.monotonic()
        reporter = RecordingReporter(metrics)
        entered = time.monotonic()
        result = work(spec, reporter)
        self.overhead_seconds += entered - started
        return [result]
