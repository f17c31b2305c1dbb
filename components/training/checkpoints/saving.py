"""Checkpoints of one training on one worker: verified, resumed from, and written while the training continues.

Saving copies the state, which only an update of the weights changes, while the next step goes forward and backward (CheckFreq,
Mohan et al., FAST 2021); the copy is written, read back and hashed by a thread of low priority. Rank 0 waits for the other
workers' receipts and then publishes the checkpoint; no worker saves the next one before that, however far ahead of rank 0 it is,
so that at most one is in flight. A disk that is full, or a store that is down, costs that one checkpoint and nothing else.
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
"""Seconds to wait for the other workers: a worker that is lost ends this one long before."""

NICENESS = 10
"""How much nicer the thread that writes is than the training: it gets a tenth of a processor that the training wants for itself.
An addition, not a value: Ray starts its workers with 15, and only root may become less nice than that."""

POLL_SECONDS = 0.01
"""Between two polls for receipts."""


@dataclass(frozen=True, kw_only=True)
class CheckpointPlan:
    """Where a training keeps its checkpoints, and where it starts and stops."""

    root: Path
    """An absolute directory that survives the process and that all ranks see; need not exist."""
    identity: Mapping[str, Any]
    """JSON that says what is trained (shape, config, digests of data); a checkpoint of another identity is refused."""
    branch_from: Path | None = None
    """A checkpoint of a trunk: a training of another length with the same first steps. This one starts there as long as `root`
    has no checkpoint. None: at its first step."""
    uploads: RemoteScratch | None = None
    """Where checkpoints are copied to in the background, and fetched from on another machine; None: nowhere."""
    until: int | None = None
    """Stop after this step with a checkpoint, from which this training or another can resume; None: all steps."""


@dataclass(frozen=True)
class ResumePoint:
    """Where training resumes."""

    directory: Path | None
    """The newest whole checkpoint; None: training starts afresh."""
    step: int
    """Steps that are done."""
    damaged: tuple[str, ...]
    """The newer checkpoints that were refused, each with what is wrong with it."""


class Checkpoints:
    """The checkpoints of one training below `plan.root`, which all ranks see."""

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
        """Claim the root for this attempt; all ranks together, inside a process group.

        Args:
            plan: where checkpoints are, and of what training.
            rank: of this worker.
            world_size: workers.
            keep: newest checkpoints that are kept.
            permanent: steps whose checkpoints are kept as well.
            sizes: elements of each parameter, by name.

        Raises:
            CheckpointError: the root cannot be written.
        """
        self.plan, self.rank, self.world_size = plan, rank, world_size
        self.failed = 0
        """Checkpoints that could not be written so far; counted on rank 0."""
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
        """The newest checkpoint whose checksums hold and that is of this training, else its trunk; all ranks together.

        Newer ones that are refused are set aside with a warning; checkpoints in the store are fetched where they are newer.
        Training never starts afresh beside checkpoints that could not be read: a fault of the disk may be transient.

        Raises:
            CheckpointError: there are checkpoints but none is usable, the trunk is damaged or has other first steps, or there are
                none and the store cannot be reached.
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
                f"{self.plan.root}: training can resume from none of its checkpoints ({'; '.join(damaged)}); "
                "repair one, or remove them or use another directory to start afresh"
            )
        return self._start()

    def _scanned(self) -> tuple[Path | None, dict[Path, str]]:
        """The newest usable checkpoint, and what is wrong with each newer one."""
        refused: dict[Path, str] = {}
        for directory in self._from_first_rank(lambda: files.published(self.plan.root)):
            differences = files.differences(directory, self.plan.identity, rank=self.rank, world_size=self.world_size)
            wrong = self._gathered(differences)
            if not wrong:
                return directory, refused
            refused[directory] = wrong[0]
        return None, refused

    def _fetch_newer(self, whole: Path | None) -> bool:
        """On rank 0: fetch what is newer in the store; whether there was any."""
        assert self._uploads is not None
        return self._uploads.fetch_newer(files.step_of(whole) if whole else 0)

    def _start(self) -> ResumePoint:
        """Where a training without checkpoints starts."""
        trunk = self.plan.branch_from
        if trunk is None:
            return ResumePoint(None, 0, ())
        differences = files.trunk_differences(trunk, self.plan.identity, rank=self.rank, world_size=self.world_size)
        if wrong := self._gathered(differences):
            raise CheckpointError(f"{trunk}: this training cannot branch from there: {wrong[0]}")
        return ResumePoint(trunk, files.read_manifest(trunk)["step"], ())

    @property
    def started(self) -> float:
        """Unix time at which the first attempt at this training started."""
        return self._attempt.started

    @property
    def is_busy(self) -> bool:
        """Whether the former checkpoint is still being written, by any worker."""
        return self._written is not None and not self._written.done()

    def reserve(self, state: State) -> None:
        """Allocate memory for the first copy while training starts. If there is too little, the first checkpoint reports it."""
        self._copier.submit(self._snapshot.reserve, state)

    def save(self, step: int, history: Sequence[str], state: State, *, goodput: Mapping[str, Any]) -> None:
        """Start to save; all ranks in the same step. Waits only for the former checkpoint, if it is still being written.

        Args:
            step: steps that are done.
            history: a line of JSON for each.
            state: views that keep their values until `before_update` has returned.
            goodput: JSON of `components.training.meters.Goodput`.
        """
        self.wait()
        self._copied = self._copier.submit(self._snapshot.take, state)
        self._written = self._writer.submit(self._write, {"step": step, "goodput": goodput}, tuple(history), self._copied)

    def before_update(self) -> None:
        """Wait until the state is copied: the weights may change afterwards.

        Raises:
            SupersededAttempt: a later attempt writes here, or to the store, now.
        """
        if self._copied is not None:
            wait([self._copied])
        if self._uploads is not None and self._uploads.superseded is not None:
            raise self._uploads.superseded
        if self._written is not None and self._written.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the checkpoint that is being written is written, or has failed. Raises as `before_update` does."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def finish(self) -> None:
        """Wait until the checkpoints of all ranks are written; all ranks together."""
        self.wait()
        if self._uploads is not None:
            self._uploads.finish()
        dist.barrier()

    def close(self) -> None:
        """End the threads."""
        self._writer.shutdown()
        self._copier.shutdown()
        if self._uploads is not None:
            self._uploads.close()

    def figures(self) -> dict[str, float]:
        """failed_checkpoints and failed_uploads so far, where there are any; on rank 0."""
        failed = {"failed_checkpoints": self.failed, "failed_uploads": self._uploads.failed if self._uploads else 0}
        return {name: float(count) for name, count in failed.items() if count}

    def _write(self, facts: Mapping[str, Any], history: Sequence[str], copied: Future[None]) -> None:
        """In the thread that writes: this worker's file, and on rank 0 the manifest and publication."""
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
            self._wait_for(lambda: self._completed() >= step, f"worker 0 has not completed the checkpoint of step {step}")
        except CheckpointError as late:
            logger.warning("%s; training continues", late)

    def _complete(self, facts: Mapping[str, Any], history: Sequence[str], staging: Path) -> None:
        """Publish the checkpoint, or give it up with a warning."""
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
            logger.warning("step %d: checkpoint not written, the former ones are kept: %s", facts["step"], error)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            _get_default_store().set(self._completed_key, str(facts["step"]))

    def _completed(self) -> int:
        """The step of the last checkpoint that rank 0 has published or given up."""
        store = _get_default_store()
        return int(store.get(self._completed_key)) if store.check([self._completed_key]) else 0

    def _manifest(self, checksums: Mapping[str, str]) -> dict[str, JSON]:
        facts: dict[str, JSON] = {"format": files.FORMAT, "world_size": self.world_size, "identity": self.plan.identity}
        return {**facts, "sizes": self._sizes, "files": dict(sorted(checksums.items()))}

    def _receipts(self, step: int) -> dict[str, str]:
        """Checksums of all workers' files. Raises `CheckpointError` where one has failed, once none writes any more."""
        receipts = [self._receipt(step, rank) for rank in range(self.world_size)]
        failed = [f"worker {rank}: {receipt['error']}" for rank, receipt in enumerate(receipts) if "error" in receipt]
        if failed:
            raise CheckpointError("; ".join(failed))
        return {files.state_file(Path(), rank).name: receipt["checksum"] for rank, receipt in enumerate(receipts)}

    def _receipt(self, step: int, rank: int) -> dict[str, str]:
        store, key = _get_default_store(), self._key(step, rank)
        self._wait_for(lambda: store.check([key]), f"worker {rank} has not written its file")
        receipt: dict[str, str] = json.loads(store.get(key))
        store.delete_key(key)
        return receipt

    def _wait_for(self, done: Callable[[], bool], late: str) -> None:
        deadline = time.monotonic() + RECEIPT_TIMEOUT
        while not done():
            if time.monotonic() > deadline:
                raise CheckpointError(f"{late} in {RECEIPT_TIMEOUT:.0f} s")
            time.sleep(POLL_SECONDS)

    @property
    def _completed_key(self) -> str:
        return f"checkpoint/{self._attempt.number}/completed"

    def _key(self, step: int, rank: int) -> str:
        return f"checkpoint/{self._attempt.number}/{step}/{rank}"

    def _from_first_rank(self, call: Callable[[], Any]) -> Any:
        """Call on rank 0 alone, and broadcast its result: the ranks must not differ in what they see of the disk."""
        box: list[Any] = [None, None]
        if self.rank == 0:
            try:
                box[0] = call()
            except (LongrunError, OSError) as error:
                box[1] = error  # raised by all: the others would wait for ever
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
    """A thread whose torch operations use no other threads; with low priority it leaves the processors to the training.

    With a second team of threads in the process, libgomp has more threads than processors, and lets those of the training sleep
    at each barrier instead of spinning: every step after the first checkpoint took 1.2 times as long. When they spin, a processor
    taken from one of them stops them all: writing as an equal costs 5 s of two cores for 100 M parameters, so 1.6 to 2.1 s.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(1, thread_name_prefix=f"checkpoint-{name}")
    pool.submit(torch.get_num_threads).result()  # a thread reads its limit once
    pool.submit(torch.set_num_threads, 1).result()
    torch.set_num_threads(threads)  # threads made later have the old limit again
    if low_priority and sys.platform == "linux":  # elsewhere a priority is of the whole process
        pool.submit(os.nice, NICENESS).result()
    return pool
