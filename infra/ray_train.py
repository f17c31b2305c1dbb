"""Training workers as processes of Ray Train (V2), in a Ray that somebody else has started."""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import ray
import ray.train
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

from components.errors import ConfigError, LongrunError, TrainingError
from components.ports import Metrics, TrainingReporter
from infra.ray_mailbox import Outcome, mailbox_actor

Spec = TypeVar("Spec")
Result = TypeVar("Result")

POLL_SECONDS = 0.25
"""Between two looks into the mailbox: fast enough for a progress bar, slow enough to cost nothing."""


QUICK = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.25",  # 2 by default, which every launch waits at its end
    "RAY_TRAIN_METRICS_ENABLED": "0",  # for a Prometheus that is not there
}
"""Ray Train takes these from the driver's environment; whoever set them already is obeyed."""


@dataclass
class RayLauncher:
    """Runs a function on workers of Ray Train; each has a process of its own and a place in a gloo or nccl group.

    Ray's own messages go to its session's logs, not to the terminal.
    """

    storage_path: Path
    """Where Ray Train keeps the state of a run while it lasts; shared by all nodes."""
    threads_per_worker: int | None = None
    """CPUs and threads of one worker; None: the CPUs of the cluster, shared out evenly."""
    max_failures: int = 2
    """How often lost workers are started again; the work then goes on from its own checkpoints. A `LongrunError` is final."""
    overhead_seconds: float = field(default=0.0, init=False)
    """Wall time of launches before the first worker entered the work and after the last one left it."""

    def launch(
        self, work: Callable[[Spec, TrainingReporter], Result], spec: Spec, *, workers: int, metrics: Metrics
    ) -> list[Result]:
        """Call `work` in every worker; reports reach `metrics` in this thread while the work goes on.

        Raises:
            ConfigError: more workers than the cluster has CPUs for.
            LongrunError: whatever the work raised.
            TrainingError: workers were lost more often than `max_failures`, or failed otherwise.
        """
        started = time.time()
        threads = self._threads(workers)
        mailbox = mailbox_actor()
        for name, value in QUICK.items():
            os.environ.setdefault(name, value)
        trainer = self._trainer({"work": work, "spec": spec, "mailbox": mailbox, "threads": threads}, workers, threads)
        failure = _fit(trainer, mailbox, metrics)
        shutil.rmtree(self.storage_path / str(trainer.run_config.name), ignore_errors=True)
        outcome: Outcome = ray.get(mailbox.outcome.remote())
        self.overhead_seconds += _overhead(outcome, started, time.time())
        if outcome.error is not None:
            raise outcome.error
        if failure is not None or len(outcome.results) < workers:
            raise TrainingError(f"training workers failed: {_first_line(failure)}; the logs are in Ray's session") from failure
        return [outcome.results[rank] for rank in range(workers)]

    def _threads(self, workers: int) -> int:
        cpus = int(_cluster().get("CPU", 0))
        threads = self.threads_per_worker or max(1, cpus // workers)
        if workers < 1 or workers * threads > cpus:
            raise ConfigError(f"{workers} workers of {threads} CPUs each; allowed: 1 to {cpus // threads} on {cpus} CPUs")
        return threads

    def _trainer(self, config: dict[str, Any], workers: int, threads: int) -> TorchTrainer:
        gpu = _cluster().get("GPU", 0) >= workers
        return TorchTrainer(
            _enter,
            train_loop_config=config,
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=workers, use_gpu=gpu, resources_per_worker={"CPU": threads} | ({"GPU": 1} if gpu else {})
            ),
            run_config=RunConfig(  # type: ignore[arg-type]  # Ray's stubs are those of Train V1
                name=f"training-{uuid.uuid4().hex[:12]}",
                storage_path=str(self.storage_path.absolute()),
                failure_config=FailureConfig(max_failures=self.max_failures),
                logging_config=LoggingConfig(log_level="CRITICAL"),
            ),
        )


def _cluster() -> dict[str, float]:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources


@dataclass(frozen=True)
class _MailReporter:
    """The reporter of a worker."""

    rank: int
    world_size: int
    mailbox: Any

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Post without waiting for the answer."""
        if self.rank == 0:
            self.mailbox.report.remote(step, total_steps, dict(values))


def _enter(config: dict[str, Any]) -> None:
    """What Ray calls in each worker, again after a failure."""
    import torch

    torch.set_num_threads(config["threads"])
    mailbox, context = config["mailbox"], ray.train.get_context()
    reporter = _MailReporter(context.get_world_rank(), context.get_world_size(), mailbox)
    if not ray.get(mailbox.enter.remote(time.time())):
        return
    try:
        result = config["work"](config["spec"], reporter)
    except LongrunError as error:
        ray.get(mailbox.fail.remote(error, time.time()))
        if reporter.world_size > 1:
            raise  # the others may wait for this one: Ray must end them
        return
    ray.get(mailbox.leave.remote(reporter.rank, result, time.time()))


def _fit(trainer: TorchTrainer, mailbox: Any, metrics: Metrics) -> Exception | None:
    """Train in a thread of its own, and hand on reports in this one, because metrics may belong to it; the failure, if any."""
    failures: list[Exception] = []

    def fit() -> None:
        try:
            trainer.fit()
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            failures.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_SECONDS)
        for step, total, values in ray.get(mailbox.take_reports.remote()):
            metrics.log(step, values)
            metrics.progress(step, total, "steps")
    return failures[0] if failures else None


def _overhead(outcome: Outcome, started: float, ended: float) -> float:
    if outcome.entered is None or outcome.left is None:
        return 0.0
    return max(0.0, outcome.entered - started) + max(0.0, ended - outcome.left)


def _first_line(failure: Exception | None) -> str:
    lines = [line.strip() for line in str(failure or "").splitlines() if line.strip()]
    return lines[-1] if lines else "no worker gave a result"
