"""Saves the checkpoints of a training run in the background, and finds the one to resume from.

State changes only when the weights are updated, so it is copied during the forward and backward pass of the next step
(CheckFreq, Mohan et al., FAST 2021). A thread of low priority writes the copy, reads it back and hashes it. Rank 0 waits for
the receipts of all workers and then publishes the checkpoint. No worker starts the next checkpoint before that, so at most one
is in progress. If the disk is full or the object store is down, only that checkpoint is lost.
"""

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import _get_default_store

from components.errors import CheckpointError, LongrunError, SupersededAttempt
from components.files import JSON
from components.ports import RemoteScratch
from components.training.checkpoints import files
from components.training.checkpoints.direct_files import checksum_of
from components.training.checkpoints.files import Attempt
from components.training.checkpoints.state import SavedState, Snapshot, State
from components.training.checkpoints.uploads import Uploads, start_uploads

logger = logging.getLogger(__name__)

RECEIPT_TIMEOUT = 1800.0
"""Seconds to wait for the other workers. Losing a worker stops this one long before that."""

NICENESS = 10
"""Added to the niceness of the writing thread, so that it gets about a tenth of a processor that the training also wants. Added
to the current value because Ray starts workers with a niceness of 15, and only root may lower it."""

POLL_SECONDS = 0.01
"""Seconds between two polls for receipts."""


@dataclass(frozen=True, kw_only=True)
class CheckpointPlan:
    """Where a training run keeps its checkpoints, and at which step it starts and stops."""

    root: Path
    """Absolute path of a directory that survives the process and that all ranks can access; it need not exist."""
    identity: Mapping[str, Any]
    """JSON values that identify the training (shape, config, digests of data); checkpoints with another identity are refused."""
    branch_from: Path | None = None
    """A checkpoint of a trunk, that is, of a training of another length with the same first steps. The training starts there if
    `root` has no checkpoint. None: it starts at its first step."""
    uploads: RemoteScratch | None = None
    """Folder of an object store to which checkpoints are copied in the background; another machine resumes from it. None: no
    copies."""
    until: int | None = None
    """Stop after this step and save a checkpoint; None: train to the last step."""


@dataclass(frozen=True)
class ResumePoint:
    """Where a training run resumes."""

    directory: Path | None
    """The newest usable checkpoint; None: training starts from the beginning."""
    step: int
    """Number of steps already done."""
    damaged: tuple[str, ...]
    """Newer checkpoints that were refused, each with the reason."""


class Checkpoints:
    """Saves and resumes one training run on one worker, below `plan.root`."""

    def __init__(
        self,
        plan: CheckpointPlan,
        *,
        rank: int,
        world_size: int,
        keep: int,
        permanent: Collection[int] = (),
        sizes: Mapping[str, int],
    ) -> None:
        """Start an attempt below `plan.root`. All ranks must call this together, inside a process group.

        Args:
            plan: where checkpoints are kept, and the identity of the training.
            rank: rank of this worker.
            world_size: number of workers.
            keep: number of newest checkpoints to keep.
            permanent: steps whose checkpoints are kept in addition.
            sizes: number of elements of each parameter, by name.

        Raises:
            CheckpointError: the root cannot be written.
        """
        self.plan, self.rank, self.world_size = plan, rank, world_size
        self.failed = 0
        """Number of checkpoints that could not be written so far; counted on rank 0."""
        self._keep, self._permanent, self._sizes = keep, frozenset(permanent), dict(sizes)
        self._attempt: Attempt = self._from_first_rank(lambda: Attempt.claim(plan.root))
        self._uploads: Uploads | None = None
        if plan.uploads is not None and rank == 0:
            self._uploads = start_uploads(plan.uploads, self._attempt, keep=keep, permanent=permanent)
        self._snapshot = Snapshot()
        self._copier, self._writer = _single_threaded("copy"), _single_threaded("write", low_priority=True)
        self._copied: Future[None] | None = None
        self._written: Future[None] | None = None

    def newest(self) -> ResumePoint:
        """Find the newest usable checkpoint of this training, or else its trunk. All ranks must call this together.

        A checkpoint is usable if its checksums and its identity match. Newer checkpoints that are refused are renamed, with a
        warning. Checkpoints in the object store are downloaded if they are newer. If there are checkpoints but none is usable,
        training does not start from the beginning, because a disk error may be transient.

        Raises:
            CheckpointError: there are checkpoints but none is usable; the trunk is damaged or has other first steps; or there
                are no checkpoints and the object store cannot be reached.
        """
        whole, refused = self._scanned()
        if self.plan.uploads is not None and self._from_first_rank(lambda: self._fetch_newer(whole)):
            whole, refused = self._scanned()
        damaged = tuple(f"{directory.name}: {wrong}" for directory, wrong in refused.items())
        for wrong in damaged:
            logger.warning("%s: checkpoint refused: %s", self.plan.root, wrong)
        if whole is not None:
            if refused:
                self._from_first_rank(lambda: files.resume_from(self._attempt, whole, refused))
            return ResumePoint(whole, files.step_of(whole), damaged)
        if refused:
            raise CheckpointError(
                f"{self.plan.root}: training cannot resume from any of its checkpoints ({'; '.join(damaged)}); "
                "repair one of them; to start from the beginning, delete them or use another directory"
            )
        return self._start()

    def _scanned(self) -> tuple[Path | None, dict[Path, str]]:
        """The newest usable checkpoint (None if there is none), and the reason for refusing each newer one."""
        refused: dict[Path, str] = {}
        for directory in self._from_first_rank(lambda: files.published(self.plan.root)):
            differences = files.differences(directory, self.plan.identity, rank=self.rank, world_size=self.world_size)
            wrong = self._gathered(differences)
            if not wrong:
                return directory, refused
            refused[directory] = wrong[0]
        return None, refused

    def _fetch_newer(self, whole: Path | None) -> bool:
        """Download newer checkpoints from the object store, on rank 0. Returns whether there were any."""
        assert self._uploads is not None
        return self._uploads.fetch_newer(files.step_of(whole) if whole else 0)

    def _start(self) -> ResumePoint:
        """Where a training run without checkpoints starts: at its trunk, or at the first step."""
        trunk = self.plan.branch_from
        if trunk is None:
            return ResumePoint(None, 0, ())
        differences = files.trunk_differences(trunk, self.plan.identity, rank=self.rank, world_size=self.world_size)
        if wrong := self._gathered(differences):
            raise CheckpointError(f"{trunk}: this training cannot branch from this checkpoint: {wrong[0]}")
        return ResumePoint(trunk, files.read_manifest(trunk)["step"], ())

    @property
    def started(self) -> float:
        """Unix time at which the first attempt at this training started."""
        return self._attempt.started

    @property
    def is_busy(self) -> bool:
        """Whether the previous checkpoint is still being written, by any worker."""
        return self._written is not None and not self._written.done()

    def reserve(self, state: State) -> None:
        """Allocate memory for the copy of the state, in the background. A lack of memory is reported by the first checkpoint."""
        self._copier.submit(self._snapshot.reserve, state)

    def save(self, step: int, history: Sequence[str], state: State, *, goodput: Mapping[str, Any]) -> None:
        """Start to save a checkpoint; all ranks, in the same step. Waits only if the previous one is still being written.

        Args:
            step: number of steps done.
            history: one line of JSON per step.
            state: views of tensors that do not change before `before_update` returns.
            goodput: JSON of `components.training.meters.Goodput`.
        """
        self.wait()
        self._copied = self._copier.submit(self._snapshot.take, state)
        self._written = self._writer.submit(self._write, {"step": step, "goodput": goodput}, tuple(history), self._copied)

    def before_update(self) -> None:
        """Wait until the state is copied. Must be called before the weights are updated.

        Raises:
            SupersededAttempt: a later attempt has taken over the directory or the object store.
        """
        if self._copied is not None:
            wait([self._copied])
        if self._uploads is not None and self._uploads.superseded is not None:
            raise self._uploads.superseded
        if self._written is not None and self._written.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the checkpoint in progress is written or has failed. Raises the errors of `before_update`."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def finish(self) -> None:
        """Wait until all checkpoints are written and uploaded. All ranks must call this together."""
        self.wait()
        if self._uploads is not None:
            self._uploads.finish()
        dist.barrier()

    def close(self) -> None:
        """Stop the threads."""
        self._writer.shutdown()
        self._copier.shutdown()
        if self._uploads is not None:
            self._uploads.close()

    def figures(self) -> dict[str, float]:
        """The counters failed_checkpoints and failed_uploads, on rank 0; without those that are 0."""
        failed = {"failed_checkpoints": self.failed, "failed_uploads": self._uploads.failed if self._uploads else 0}
        return {name: float(count) for name, count in failed.items() if count}

    def _write(self, facts: Mapping[str, Any], history: Sequence[str], copied: Future[None]) -> None:
        """Write this worker's file, and on rank 0 publish the checkpoint. Runs in the writing thread."""
        step: int = facts["step"]
        staging, receipt = self._attempt.staging(step), {"error": "interrupted"}
        try:
            copied.result()
            staging.mkdir(parents=True, exist_ok=True)
            path = files.state_file(staging, self.rank)
            receipt = {"checksum": self._snapshot.write(path)}
        except OSError as error:
            receipt = {"error": str(error)}
        finally:
            _get_default_store().set(self._key(step, self.rank), json.dumps(receipt))
        if self.rank == 0:
            self._complete(facts, history, staging)
            return
        try:
            self._wait_for(lambda: self._completed() >= step, f"worker 0 did not complete the checkpoint of step {step}")
        except CheckpointError as late:
            logger.warning("%s; training continues", late)

    def _complete(self, facts: Mapping[str, Any], history: Sequence[str], staging: Path) -> None:
        """Publish the checkpoint; if that fails, log a warning and continue without it."""
        try:
            checksums = self._receipts(facts["step"])
            (staging / files.HISTORY).write_text("".join(line + "\n" for line in history))
            checksums[files.HISTORY] = checksum_of(staging / files.HISTORY)
            SavedState(files.state_files(staging)).require_whole(self._sizes)
            manifest = {**facts, **self._manifest(checksums)}
            directory = files.publish(self._attempt, staging, manifest, keep=self._keep, permanent=self._permanent)
            if self._uploads is not None:
                self._uploads.offer(facts["step"], directory)
        except SupersededAttempt:
            raise
        except (OSError, CheckpointError) as error:
            self.failed += 1
            logger.warning("step %d: checkpoint not written, earlier ones are kept: %s", facts["step"], error)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            _get_default_store().set(self._completed_key, str(facts["step"]))

    def _completed(self) -> int:
        """The step of the last checkpoint that rank 0 has published or failed to publish."""
        store = _get_default_store()
        return int(store.get(self._completed_key)) if store.check([self._completed_key]) else 0

    def _manifest(self, checksums: Mapping[str, str]) -> dict[str, JSON]:
        facts: dict[str, JSON] = {"format": files.FORMAT, "world_size": self.world_size, "identity": self.plan.identity}
        return {**facts, "sizes": self._sizes, "files": dict(sorted(checksums.items()))}

    def _receipts(self, step: int) -> dict[str, str]:
        """Checksums of all workers' files. Raises `CheckpointError` if a worker failed, after all workers have finished."""
        receipts = [self._receipt(step, rank) for rank in range(self.world_size)]
        failed = [f"worker {rank}: {receipt['error']}" for rank, receipt in enumerate(receipts) if "error" in receipt]
        if failed:
            raise CheckpointError("; ".join(failed))
        return {files.state_file(Path(), rank).name: receipt["checksum"] for rank, receipt in enumerate(receipts)}

    def _receipt(self, step: int, rank: int) -> dict[str, str]:
        store, key = _get_default_store(), self._key(step, rank)
        self._wait_for(lambda: store.check([key]), f"worker {rank} did not write its file")
        receipt: dict[str, str] = json.loads(store.get(key))
        store.delete_key(key)
        return receipt

    def _wait_for(self, done: Callable[[], bool], late: str) -> None:
        deadline = time.monotonic() + RECEIPT_TIMEOUT
        while not done():
            if time.monotonic() > deadline:
                raise CheckpointError(f"{late} within {RECEIPT_TIMEOUT:.0f} s")
            time.sleep(POLL_SECONDS)

    @property
    def _completed_key(self) -> str:
        return f"checkpoint/{self._attempt.number}/completed"

    def _key(self, step: int, rank: int) -> str:
        return f"checkpoint/{self._attempt.number}/{step}/{rank}"

    def _from_first_rank(self, call: Callable[[], Any]) -> Any:
        """Call `call` on rank 0 only and broadcast its result or error, so that all ranks see the same state of the disk."""
        box: list[Any] = [None, None]
        if self.rank == 0:
            try:
                box[0] = call()
            except (LongrunError, OSError) as error:
                box[1] = error  # raised on all ranks: otherwise the others would wait forever
        dist.broadcast_object_list(box, src=0)
        if box[1] is not None:
            raise box[1]
        return box[0]

    def _gathered(self, messages: list[str]) -> list[str]:
        """The messages of all ranks, on every rank."""
        gathered: list[list[str]] = [[] for _ in range(self.world_size)]
        dist.all_gather_object(gathered, messages)
        return [message for of_rank in gathered for message in of_rank]


def _single_threaded(name: str, *, low_priority: bool = False) -> ThreadPoolExecutor:
    """A pool with one thread, whose torch operations run in that thread only.

    If it used several threads, libgomp would have more threads than processors, and would let the training's threads sleep at
    each barrier instead of spinning: every step after the first checkpoint took 1.2 times as long. While they spin, all of them
    wait if one loses its processor; this is why the writing thread has a low priority. For 100 M parameters, writing with
    normal priority cost the training 5 s of two cores, and with low priority 1.6 to 2.1 s.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(1, thread_name_prefix=f"checkpoint-{name}")
    pool.submit(torch.get_num_threads).result()  # torch reads the limit on first use in a thread
    pool.submit(torch.set_num_threads, 1).result()
    torch.set_num_threads(threads)  # restore the limit for other threads
    if low_priority and sys.platform == "linux":  # on other systems it would apply to the whole process
        pool.submit(os.nice, NICENESS).result()
    return pool
