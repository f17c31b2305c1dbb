"""Checkpoints of one training on one worker: found, verified and written while the training goes on.

Saving copies the state, which only an update of the weights changes, while the next step goes forward and backward (CheckFreq,
Mohan et al., FAST 2021); the copy is written, read back and hashed by a thread that yields to the training. Rank 0 waits for the
other workers' receipts and then names the checkpoint; no worker saves the next before, however far ahead of rank 0 it is, so that
at most one is on its way. A disk that is full, or a store that is down, costs that one checkpoint and nothing else.
"""

import json
import logging
import os
import shutil
import sys
import threading
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
from components.ports import RemoteScratch
from components.training.checkpoints import files
from components.training.checkpoints.direct_files import checksum_of
from components.training.checkpoints.files import Attempt
from components.training.checkpoints.state import SavedState, Snapshot, State
from components.training.checkpoints.uploads import begin

logger = logging.getLogger(__name__)

RECEIPT_SECONDS = 1800.0
"""Longest wait for the other workers: one that is lost takes this one with it long before."""

YIELDING = 10
"""How nice the thread is that writes: it gets a tenth of a processor that the training wants for itself."""

POLL_SECONDS = 0.01
"""Between two looks for receipts."""


@dataclass(frozen=True)
class Found:
    """Where training goes on."""

    directory: Path | None
    """The newest whole checkpoint; None: training begins afresh."""
    step: int
    """Steps that are done."""
    damaged: tuple[str, ...]
    """The newer checkpoints that were refused, each with what is wrong with it."""


class Checkpoints:
    """The checkpoints of one training below `root`, which all ranks see."""

    def __init__(
        self,
        root: Path,
        identity: Mapping[str, Any],
        *,
        rank: int,
        world_size: int,
        keep: int,
        permanent: Collection[int] = (),
        trunk: Path | None = None,
        uploads: RemoteScratch | None = None,
        sizes: Mapping[str, int],
    ) -> None:
        """Claim `root` for this attempt; all ranks together, inside a process group.

        Args:
            root: absolute; need not exist.
            identity: JSON that says what is trained; a checkpoint of another identity is refused.
            rank: of this worker.
            world_size: workers.
            keep: newest checkpoints that stay.
            permanent: steps whose checkpoints stay besides.
            trunk: a checkpoint of a training that began like this one: where it begins as long as `root` has none.
            uploads: a place in an object store where checkpoints are copied to, and found when `root` has none or older ones.
            sizes: elements of each parameter, by name.

        Raises:
            CheckpointError: `root` cannot be written.
        """
        self.root, self.identity, self.rank, self.world_size = root, identity, rank, world_size
        self.failed = 0
        """Checkpoints that could not be written so far; counted on rank 0."""
        self._keep, self._permanent, self._trunk, self._sizes = keep, frozenset(permanent), trunk, dict(sizes)
        self._attempt: Attempt = self._from_first_rank(lambda: Attempt.claim(root))
        self._has_store = uploads is not None
        self._uploads = begin(uploads, self._attempt, keep=keep, permanent=permanent) if uploads and rank == 0 else None
        self._snapshot = Snapshot()
        self._copier, self._writer = _single_threaded("copy"), _single_threaded("write", yielding=True)
        self._copied: Future[None] | None = None
        self._job: Future[None] | None = None

    def newest(self) -> Found:
        """The newest checkpoint whose checksums hold and that is of this training, else its trunk; all ranks together.

        Newer ones are set aside with a warning, and those of the store are asked for where they are newer. Training never begins
        afresh beside checkpoints that could not be read: what ails the disk may pass.

        Raises:
            CheckpointError: none of those that there are will do, the trunk is damaged or began otherwise, or there are none and
                the store cannot be asked.
        """
        whole, refused = self._scanned()
        if self._has_store and self._from_first_rank(lambda: self._brought_back(whole)):
            whole, refused = self._scanned()
        damaged = tuple(f"{directory.name}: {wrong}" for directory, wrong in refused.items())
        for wrong in damaged:
            logger.warning("%s: checkpoint refused: %s", self.root, wrong)
        if whole is not None:
            if refused:
                self._from_first_rank(lambda: files.go_on_from(self._attempt, whole, refused))
            return Found(whole, files.step_of(whole), damaged)
        if refused:
            raise CheckpointError(
                f"{self.root}: training can go on from none of its checkpoints ({'; '.join(damaged)}); "
                "repair one, or remove them or use another directory to begin afresh"
            )
        return self._beginning()

    def _scanned(self) -> tuple[Path | None, dict[Path, str]]:
        """The newest that will do, and what is wrong with each newer one."""
        refused: dict[Path, str] = {}
        for directory in self._from_first_rank(lambda: files.published(self.root)):
            wrong = self._gathered(files.differences(directory, self.identity, part=self.rank, parts=self.world_size))
            if not wrong:
                return directory, refused
            refused[directory] = wrong[0]
        return None, refused

    def _brought_back(self, whole: Path | None) -> bool:
        """On rank 0: whether there was something in the store that is newer."""
        assert self._uploads is not None
        return self._uploads.bring_back(files.step_of(whole) if whole else 0)

    def _beginning(self) -> Found:
        if self._trunk is None:
            return Found(None, 0, ())
        if wrong := self._gathered(files.trunk_differences(self._trunk, self.identity, part=self.rank, parts=self.world_size)):
            raise CheckpointError(f"{self._trunk}: this training cannot branch from there: {wrong[0]}")
        return Found(self._trunk, files.read_manifest(self._trunk)["step"], ())

    @property
    def began(self) -> float:
        """Unix time at which the first attempt at this training began."""
        return self._attempt.began

    @property
    def is_busy(self) -> bool:
        """Whether the former checkpoint is still being written, by any worker."""
        return self._job is not None and not self._job.done()

    def reserve(self, state: State) -> None:
        """Make room for the first copy while training begins. Should there be none, the first checkpoint says so."""
        self._copier.submit(self._snapshot.reserve, state)

    def save(self, step: int, history: Sequence[str], state: State, *, goodput: Mapping[str, Any]) -> None:
        """Begin to save; all ranks in the same step. Waits only for the former checkpoint, if it is still being written.

        Args:
            step: steps that are done.
            history: a line of JSON for each.
            state: views that keep their values until `before_update` has returned.
            goodput: JSON of `components.training.meters.Goodput`.
        """
        self.wait()
        self._copied = self._copier.submit(self._snapshot.take, state)
        self._job = self._writer.submit(self._write, {"step": step, "goodput": goodput}, tuple(history), self._copied)

    def before_update(self) -> None:
        """Wait until the state is copied: the weights may change afterwards.

        Raises:
            SupersededAttempt: a later attempt writes here, or to the store, now.
        """
        if self._copied is not None:
            wait([self._copied])
        if self._uploads is not None and self._uploads.superseded is not None:
            raise self._uploads.superseded
        if self._job is not None and self._job.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the checkpoint that is being written is written, or has failed. Raises as `before_update` does."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def finish(self) -> None:
        """Wait until what all ranks were writing is written; all ranks together."""
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
        """In the thread that writes: this worker's part, and on rank 0 the whole."""
        step: int = facts["step"]
        staging, receipt = self._attempt.staging(step), {"error": "broken off"}
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
            logger.warning("%s; training goes on", late)

    def _complete(self, facts: Mapping[str, Any], history: Sequence[str], staging: Path) -> None:
        """Publish the checkpoint, or do without it."""
        try:
            checksums = self._receipts(facts["step"])
            (staging / files.HISTORY).write_text("".join(line + "\n" for line in history))
            checksums[files.HISTORY] = checksum_of(staging / files.HISTORY)
            SavedState(files.state_files(staging)).require_whole(self._sizes)
            manifest = {**facts, **self._manifest(checksums)}
            place = files.publish(self._attempt, staging, manifest, keep=self._keep, permanent=self._permanent)
            if self._uploads is not None:
                self._uploads.offer(facts["step"], place)
        except SupersededAttempt:
            raise
        except (OSError, CheckpointError) as error:
            self.failed += 1
            logger.warning("step %d: checkpoint not written, the former ones stay: %s", facts["step"], error)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            _get_default_store().set(self._completed_key, str(facts["step"]))

    def _completed(self) -> int:
        """The step of the last checkpoint that rank 0 has published, or done without."""
        store = _get_default_store()
        return int(store.get(self._completed_key)) if store.check([self._completed_key]) else 0

    def _manifest(self, checksums: Mapping[str, str]) -> dict[str, Any]:
        facts = {"format": files.FORMAT, "world_size": self.world_size, "identity": self.identity}
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
        self._wait_for(lambda: store.check([key]), f"worker {rank} has not written its part")
        receipt: dict[str, str] = json.loads(store.get(key))
        store.delete_key(key)
        return receipt

    def _wait_for(self, done: Callable[[], bool], late: str) -> None:
        until = time.monotonic() + RECEIPT_SECONDS
        while not done():
            if time.monotonic() > until:
                raise CheckpointError(f"{late} in {RECEIPT_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    @property
    def _completed_key(self) -> str:
        return f"checkpoint/{self._attempt.number}/completed"

    def _key(self, step: int, rank: int) -> str:
        return f"checkpoint/{self._attempt.number}/{step}/{rank}"

    def _from_first_rank(self, call: Callable[[], Any]) -> Any:
        """Call on rank 0 alone, and give its result to all: the ranks must not differ in what they see of the disk."""
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

    def _gathered(self, found: list[str]) -> list[str]:
        boxes: list[list[str]] = [[] for _ in range(self.world_size)]
        dist.all_gather_object(boxes, found)
        return [wrong for box in boxes for wrong in box]


def _single_threaded(name: str, *, yielding: bool = False) -> ThreadPoolExecutor:
    """A thread whose own operations of torch take no other threads; it may yield its processor to those of the training.

    With a second team of threads in the process, libgomp has more than there are processors, and lets those of the training sleep
    at each barrier instead of spin: every step after the first checkpoint took 1.2 times as long. When they spin, a processor
    taken from one of them stops them all: writing as an equal costs 5 s of two cores for 100 M parameters, so 1.6 to 2.1 s.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(1, thread_name_prefix=f"checkpoint-{name}")
    pool.submit(torch.get_num_threads).result()  # a thread asks once how many it may take
    pool.submit(torch.set_num_threads, 1).result()
    torch.set_num_threads(threads)  # so that threads that are made later may take as many as before
    if yielding and sys.platform == "linux":  # elsewhere a priority is of the whole process
        pool.submit(lambda: os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), YIELDING)).result()
    return pool
