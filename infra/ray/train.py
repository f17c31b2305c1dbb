"""Implements the launcher on Ray Train V2, in a Ray that the caller has started."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import ray

from components.errors import ConfigError, TrainingError
from components.ports import Metrics, TrainingReporter
from infra.ray.logs import likely_cause
from infra.ray.mailbox import Outcome
from infra.ray.workers import GroupConfig, group_for

Spec = TypeVar("Spec")
Result = TypeVar("Result")


@dataclass
class RayLauncher:
    """Runs a function in workers of Ray Train; each is a process with a rank in a gloo or nccl group.

    The workers stay alive for the next launch with the same configuration, by any launcher; `infra.ray.workers.release` ends
    them. Ray's own messages go to its session's logs, not to the terminal.
    """

    storage_path: Path
    """Directory, shared by all nodes, where Ray Train keeps its state during a run."""
    threads_per_worker: int | None = None
    """CPUs and threads of each worker; None: the cluster's CPUs divided by the number of workers."""
    max_failures: int = 8
    """How often in a row lost workers are restarted without completing another step; the work resumes from its own checkpoints. A
    `LongrunError` is not retried."""
    overhead_seconds: float = field(default=0.0, init=False)
    """Seconds of launches before the first worker started the work and after the last one finished it."""

    def launch(
        self,
        work: Callable[[Spec, TrainingReporter], Result],
        spec: Spec,
        *,
        workers: int,
        metrics: Metrics,
        min_workers: int | None = None,
    ) -> list[Result]:
        """Call `work` in every worker and return the results by rank; reports reach `metrics` in this thread meanwhile.

        With `min_workers` the work starts, and resumes after a loss, with as many workers as fit. Once a minute Ray Train checks
        whether more fit, and then restarts all of them.

        Raises:
            ConfigError: the cluster has too few CPUs for the workers.
            LongrunError: whatever the work raised.
            TrainingError: workers were lost more than `max_failures` times in a row without completing another step.
        """
        started = time.time()
        group = group_for(self._config(workers, min_workers or workers))
        pickled: bytes = ray.cloudpickle.dumps((work, spec))  # type: ignore[no-untyped-call]
        outcome = group.run(pickled, metrics)
        self.overhead_seconds += _overhead(outcome, started, time.time())
        if outcome.lost:
            raise TrainingError(f"{outcome.error}{likely_cause(started)}")
        if outcome.error is not None:
            raise outcome.error
        if not outcome.is_complete:
            reason = _last_line(group.failure)
            raise TrainingError(f"training workers failed: {reason}{likely_cause(started)}") from group.failure
        return [ray.cloudpickle.loads(outcome.results[rank]) for rank in range(outcome.workers)]

    def _config(self, workers: int, min_workers: int) -> GroupConfig:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cpus = int(resources.get("CPU", 0))
        threads = self.threads_per_worker or max(1, cpus // max(1, workers))
        if not 1 <= min_workers <= workers or min_workers * threads > cpus:
            raise ConfigError(f"{min_workers} workers with {threads} CPUs each; allowed: 1 to {cpus // threads} on {cpus} CPUs")
        return GroupConfig(
            workers=workers,
            min_workers=min_workers,
            threads=threads,
            gpu=resources.get("GPU", 0) >= min_workers,
            storage_path=self.storage_path.absolute(),
            max_failures=self.max_failures,
        )


def _overhead(outcome: Outcome, started: float, ended: float) -> float:
    if outcome.entered is None or outcome.ended is None:
        return 0.0
    return max(0.0, outcome.entered - started) + max(0.0, ended - outcome.ended)


def _last_line(failure: Exception | None) -> str:
    lines = [line.strip() for line in str(failure or "").splitlines() if line.strip()]
    return lines[-1] if lines else "no worker returned a result"
