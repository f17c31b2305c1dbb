"""Keeps workers of Ray Train alive between training runs, because starting a trainer takes seconds.

There is one group at a time, because a group keeps its CPUs and GPUs reserved.
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
from components.ports import SAVED, Metrics
from infra.process_end import saving
from infra.ray import logs
from infra.ray.mailbox import Outcome, Report, WorkerRank, mailbox_actor
from infra.threads import use_threads
from infra.variables import set_variable

MAX_RESTARTS = 1000
"""How often Ray Train restarts workers in total: a limit for workers that never start. The mailbox counts other failures."""

POLL_SECONDS = 0.25
"""Seconds between two reads of the mailbox: often enough for a progress bar, and cheap."""

RAY_TRAIN_VARIABLES = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.25",  # 2 by default, a delay at the end of every group
    "RAY_TRAIN_METRICS_ENABLED": "0",  # there is no Prometheus to collect them
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # otherwise DeepSpeed's output reaches the terminal
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # workers do not react to a planned preemption
    # 60 by default: how long workers wait for the CPUs of a node that may be lost, before starting with fewer workers
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "5",
}
"""Variables that Ray Train reads from the driver's environment; values that the user has set are kept."""


@dataclass(frozen=True)
class GroupConfig:
    """Number of workers and the resources of each."""

    workers: int
    min_workers: int
    """Smallest number of workers that may continue after a loss; equal to `workers`: wait until all fit."""
    threads: int
    """CPUs and threads of each worker."""
    gpu: bool
    """Whether each worker has a GPU."""
    storage_path: Path
    """Absolute path of the directory where Ray Train keeps its state during a run."""
    max_failures: int
    """How often in a row lost workers are restarted without completing another step."""


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
        self._saved = threading.Event()
        self._thread = threading.Thread(target=self._fit, daemon=True)
        self._thread.start()

    @property
    def is_fresh(self) -> bool:
        """Whether it can take another assignment: it runs, and none of its workers has failed or was lost."""
        return self._thread.is_alive() and not self._spent

    def run(self, pickled: bytes, metrics: Metrics) -> Outcome:
        """Run an assignment on all workers and return its outcome; `metrics` is called in this thread, because it may be bound to
        it."""
        import ray

        self._assigned += 1
        self._idle = False
        self._saved.clear()
        ray.get(self.mailbox.assign.remote(self._assigned, pickled))
        with saving(self._save):
            self._follow(metrics)
        outcome: Outcome = ray.get(self.mailbox.outcome.remote())
        self._spent = outcome.error is not None or len(outcome.groups) > 1
        self._idle = True
        return outcome

    def _follow(self, metrics: Metrics) -> None:
        """Pass on reports until the assignment is finished or the trainer has ended."""
        import ray

        finished = False
        try:
            while self._thread.is_alive() and not finished:
                self._thread.join(POLL_SECONDS)
                finished = ray.get(self.mailbox.is_finished.remote())
                for step, total, values in ray.get(self.mailbox.take_reports.remote()):
                    metrics.log(step, values)
                    metrics.progress(step, total, "steps")
                    if SAVED in values:
                        self._saved.set()
        finally:
            self._saved.set()

    def _save(self, seconds: float) -> None:
        """Make the training save a checkpoint. Returns once it is saved, or nothing trains any more, or after `seconds`."""
        self.mailbox.want_checkpoint.remote()
        self._saved.wait(seconds)

    def dismiss(self) -> None:
        """End the workers, and delete Ray Train's state of them.

        Waits until they have exited, unless an assignment was interrupted: then they end with Ray.
        """
        import ray

        ray.get(self.mailbox.dismiss.remote())
        if self._idle:
            self._thread.join()
        if self.failure is not None:
            self._free()
        shutil.rmtree(self.config.storage_path / self._name, ignore_errors=True)

    def _free(self) -> None:
        """End the workers of a dead controller, which frees their CPUs and GPUs."""
        import ray
        from ray.util.placement_group import remove_placement_group

        for group in ray.get(self.mailbox.placement_groups.remote()):
            remove_placement_group(group)

    def _fit(self) -> None:
        try:
            self._trainer().fit()
        except Exception as error:  # noqa: BLE001 - the launcher raises it in the caller's thread
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
    """Ray Train's trainer without two helper actors, each of which takes seconds to start.

    The cleaner of placement groups frees the CPUs of a dead controller. It asks the dashboard whether the controller is alive;
    here the dashboard is off, so it would print warnings forever. `WorkerGroup.dismiss` frees the CPUs instead. The manager of
    Ray Data's datasets is not needed, because training uses none.
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
"""The group of this process; empty or one element."""


def group_for(config: GroupConfig) -> WorkerGroup:
    """The current group if it has this config and is fresh; else a new group, which replaces it."""
    if _groups and (_groups[0].config != config or not _groups[0].is_fresh):
        release()
    if not _groups:
        _groups.append(WorkerGroup(config))
    return _groups[0]


def release() -> None:
    """Dismiss the group, if there is one. Call it before other work needs the CPUs, and before Ray is stopped."""
    while _groups:
        _groups.pop().dismiss()


@dataclass
class _MailReporter:
    """A training worker's reporter, which posts to the mailbox."""

    worker: WorkerRank
    mailbox: Any
    _posted: list[Any] = field(default_factory=list)
    """The post that has not arrived yet; empty or one element."""
    _waiting: list[Report] = field(default_factory=list)
    """Reports for the next post."""
    _wanted: bool = False
    """Whether the mailbox has said that a checkpoint is wanted."""

    @property
    def rank(self) -> int:
        """Rank of this worker."""
        return self.worker.rank

    @property
    def world_size(self) -> int:
        """Number of workers."""
        return self.worker.world_size

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Report a completed step to the driver; only rank 0 does.

        Only one post is sent at a time, and the next one contains everything reported meanwhile: an asynchronous Ray actor may
        reorder calls, and a resumed training reports all its earlier steps at once.
        """
        if self.rank == 0:
            self._waiting.append((step, total_steps, dict(values)))
            if not self._posted or self._posted[0].done():
                self._post()

    def checkpoint_wanted(self) -> bool:
        """Whether a checkpoint is wanted: by the driver, as the answers to reports tell rank 0."""
        wanted, self._wanted = self._wanted, False
        return wanted

    def flush(self) -> None:
        """Wait until every report has arrived."""
        while self._posted or self._waiting:
            self._post()

    def _post(self) -> None:
        if self._posted:
            self._wanted |= self._posted.pop().result()
        if self._waiting:
            self._posted.append(self.mailbox.report.remote(self.worker, list(self._waiting)).future())
            self._waiting.clear()


def _work(config: dict[str, Any]) -> None:
    """Run assignments until dismissed. Ray calls this in each worker, and again after a loss."""
    import ray
    import ray.train

    use_threads(config["threads"])
    if not config["gpu"]:
        set_variable("CUDA_VISIBLE_DEVICES", "")  # Ray shows all GPUs to workers without a GPU
    mailbox, context = config["mailbox"], ray.train.get_context()
    placement_group: Any = ray.util.get_current_placement_group()
    rank = WorkerRank(placement_group.id.hex(), context.get_world_rank(), context.get_world_size())
    reporter = _MailReporter(rank, mailbox)
    ray.get(mailbox.join.remote(rank, placement_group))
    logs.log_rank(rank.rank, rank.world_size)
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
            raise  # the other workers may wait for this one, so Ray must end them
        return
    except Exception as error:
        ray.get(mailbox.crash.remote(worker, f"{type(error).__name__}: {error}"))
        raise
    ray.get(mailbox.leave.remote(worker, result, time.time()))
