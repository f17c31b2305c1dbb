"""Workers of Ray Train that stay between trainings: starting a trainer takes seconds, handing it the next training does not.

There is one group at a time, because a group holds the processors that it was given.
"""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.errors import LongrunError
from components.ports import Metrics
from infra.ray import logs
from infra.ray.mailbox import Outcome, Report, WorkerRank, mailbox_actor
from infra.threads import use_threads
from infra.variables import set_variable

MAX_RESTARTS = 1000
"""How often Ray Train starts workers again in all: the bound for workers that never start. The mailbox counts the others."""

POLL_SECONDS = 0.25
"""Between two looks into the mailbox: fast enough for a progress bar, slow enough to cost nothing."""

RAY_TRAIN_VARIABLES = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.25",  # 2 by default, which every group waits at its end
    "RAY_TRAIN_METRICS_ENABLED": "0",  # for a Prometheus that is not there
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # otherwise what DeepSpeed prints cannot be kept off the terminal
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # workers do nothing else when their node is to be taken away
    # 60 by default: how long workers wait for processors that may have been lost with their node, before the others are counted
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "5",
}
"""Ray Train reads these from the driver's environment; what is set there already stays."""


@dataclass(frozen=True)
class GroupConfig:
    """How many workers, and what each of them has."""

    workers: int
    min_workers: int
    """How few are enough where nodes were lost; equal to `workers`: none may be missing."""
    threads: int
    """CPUs and threads of each."""
    gpu: bool
    """Whether each has a GPU."""
    storage_path: Path
    """Absolute path where Ray Train keeps the state of a trainer while it lasts."""
    max_failures: int
    """How often in a row lost workers are started again without another step done."""


class WorkerGroup:
    """One trainer of Ray Train, in a thread of its own, whose workers wait for assignments."""

    def __init__(self, config: GroupConfig) -> None:
        self.config = config
        self.mailbox = mailbox_actor(config.max_failures)
        self.failure: Exception | None = None
        self._name = f"training-{uuid.uuid4().hex[:12]}"
        self._assigned = 0
        self._spent = False
        self._idle = True
        self._thread = threading.Thread(target=self._fit, daemon=True)
        self._thread.start()

    @property
    def is_fresh(self) -> bool:
        """Whether it can take another assignment: its workers are there, and none of them failed or was lost so far."""
        return self._thread.is_alive() and not self._spent

    def run(self, pickled: bytes, metrics: Metrics) -> Outcome:
        """Let all workers do an assignment; reports reach `metrics` in this thread, because metrics may belong to it."""
        import ray

        self._assigned += 1
        self._idle = False
        ray.get(self.mailbox.assign.remote(self._assigned, pickled))
        finished = False
        while self._thread.is_alive() and not finished:
            self._thread.join(POLL_SECONDS)
            finished = ray.get(self.mailbox.is_finished.remote())
            for step, total, values in ray.get(self.mailbox.take_reports.remote()):
                metrics.log(step, values)
                metrics.progress(step, total, "steps")
        outcome: Outcome = ray.get(self.mailbox.outcome.remote())
        self._spent = outcome.error is not None or len(outcome.groups) > 1
        self._idle = True
        return outcome

    def dismiss(self) -> None:
        """End the workers, and remove what Ray Train kept of them.

        Waits until they have ended, unless they were stopped in the middle of an assignment: then the end of Ray ends them.
        """
        import ray

        ray.get(self.mailbox.dismiss.remote())
        if self._idle:
            self._thread.join()
        if self.failure is not None:
            self._free()
        shutil.rmtree(self.config.storage_path / self._name, ignore_errors=True)

    def _free(self) -> None:
        """End the workers of a dead controller, and give their processors back."""
        import ray
        from ray.util.placement_group import remove_placement_group

        for group in ray.get(self.mailbox.placement_groups.remote()):
            remove_placement_group(group)

    def _fit(self) -> None:
        try:
            self._trainer().fit()
        except Exception as error:  # noqa: BLE001 - the launcher raises it in its own thread
            self.failure = error

    def _trainer(self) -> Any:
        from ray.train.torch import TorchConfig
        from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

        for name, value in RAY_TRAIN_VARIABLES.items():
            os.environ.setdefault(name, value)
        config = self.config
        elastic = config.min_workers < config.workers
        return _trainer_class()(
            _work,
            train_loop_config={"mailbox": self.mailbox, "threads": config.threads, "gpu": config.gpu},
            torch_config=TorchConfig(backend="nccl" if config.gpu else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=(config.min_workers, config.workers) if elastic else config.workers,
                use_gpu=config.gpu,
                resources_per_worker={"CPU": config.threads} | ({"GPU": 1} if config.gpu else {}),
            ),
            run_config=RunConfig(
                name=self._name,
                storage_path=str(config.storage_path),
                failure_config=FailureConfig(max_failures=MAX_RESTARTS if config.max_failures else 0),
                logging_config=LoggingConfig(log_level="CRITICAL"),
            ),
        )


def _trainer_class() -> Any:
    """Ray Train's trainer without two of its helpers, each an actor whose start costs seconds.

    The cleaner of placement groups outlives a dead controller to give its processors back; but it asks the dashboard whether the
    controller is alive, which is off here, and complains into the terminal ever after. `WorkerGroup.dismiss` gives them back.
    The manager of Ray Data's datasets has nothing to manage.
    """
    from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
    from ray.train.v2.torch.torch_trainer import TorchTrainer

    class Trainer(TorchTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            needless = (DatasetsCallback, PlacementGroupCleanerCallback)
            return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, needless)]

    return Trainer


_groups: list[WorkerGroup] = []
"""The one group of this process, if there is one."""


def group_for(config: GroupConfig) -> WorkerGroup:
    """The present group if it has that config and is fresh; else a new one, which replaces it."""
    if _groups and (_groups[0].config != config or not _groups[0].is_fresh):
        release()
    if not _groups:
        _groups.append(WorkerGroup(config))
    return _groups[0]


def release() -> None:
    """Dismiss the group, if there is one. To be called before others use its processors, and before Ray is stopped."""
    while _groups:
        _groups.pop().dismiss()


@dataclass(frozen=True)
class _MailReporter:
    """The reporter of a worker."""

    worker: WorkerRank
    mailbox: Any
    _posted: list[Any] = field(default_factory=list)
    """The post that is on its way, if there is one."""
    _waiting: list[Report] = field(default_factory=list)
    """What the next one will hold."""

    @property
    def rank(self) -> int:
        """Of this worker."""
        return self.worker.rank

    @property
    def world_size(self) -> int:
        """Workers."""
        return self.worker.world_size

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Report steps to the driver.

        One post is on its way at a time, and the next one holds what was reported meanwhile: an asynchronous actor of Ray may
        reorder calls, and a training that resumes reports all its steps at once.
        """
        if self.rank == 0:
            self._waiting.append((step, total_steps, dict(values)))
            if not self._posted or self._posted[0].done():
                self._post()

    def flush(self) -> None:
        """Wait until every report has arrived."""
        while self._posted or self._waiting:
            self._post()

    def _post(self) -> None:
        if self._posted:
            self._posted.pop().result()
        if self._waiting:
            self._posted.append(self.mailbox.report.remote(self.worker, list(self._waiting)).future())
            self._waiting.clear()


def _work(config: dict[str, Any]) -> None:
    """What Ray calls in each worker, and again after a loss: do one assignment after another."""
    import ray
    import ray.train

    use_threads(config["threads"])
    if not config["gpu"]:
        set_variable("CUDA_VISIBLE_DEVICES", "")  # Ray shows all GPUs to workers that asked for none
    mailbox, context = config["mailbox"], ray.train.get_context()
    placement_group: Any = ray.util.get_current_placement_group()
    rank = WorkerRank(placement_group.id.hex(), context.get_world_rank(), context.get_world_size())
    reporter = _MailReporter(rank, mailbox)
    ray.get(mailbox.join.remote(rank, placement_group))
    logs.introduce(rank.rank, rank.world_size)
    done = 0
    while (assignment := ray.get(mailbox.assignment.remote(done))) is not None:
        work, spec = ray.cloudpickle.loads(assignment.pickled)
        _do(work, spec, reporter)
        done = assignment.number


def _do(work: Callable[..., Any], spec: Any, reporter: _MailReporter) -> None:
    import ray

    mailbox, worker = reporter.mailbox, reporter.worker
    ray.get(mailbox.enter.remote(worker, time.time()))
    try:
        result: bytes = ray.cloudpickle.dumps(work(spec, reporter))  # type: ignore[no-untyped-call]
        reporter.flush()
    except LongrunError as error:
        reporter.flush()
        ray.get(mailbox.fail.remote(worker, error, time.time()))
        if reporter.world_size > 1:
            raise  # the others may wait for this one: Ray must end them
        return
    except Exception as error:
        ray.get(mailbox.crash.remote(worker, f"{type(error).__name__}: {error}"))
        raise
    ray.get(mailbox.leave.remote(worker, result, time.time()))
