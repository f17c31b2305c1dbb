"""Copying checkpoints to an object store in the background: if the store is down, only copies are lost.

The newest upload is retried until it succeeds or a newer checkpoint takes its turn; those in between are skipped.
"""

import logging
import shutil
import threading
from collections.abc import Collection
from pathlib import Path

from components.errors import CheckpointError, StoreError, SupersededAttempt
from components.ports import RemoteScratch
from components.training.checkpoints.files import Attempt, adopt, published, step_of
from components.training.checkpoints.remote import RemoteCheckpoints

logger = logging.getLogger(__name__)

PAUSES = (1.0, 60.0)
"""Seconds before the first retry, doubled up to the longest: one that comes back is noticed, one that is down left alone."""


class Uploads:
    """The thread that uploads the checkpoints of one training."""

    def __init__(self, remote: RemoteCheckpoints, attempt: Attempt, *, down: StoreError | None = None) -> None:
        """Start it. `down` says why the attempt could not claim the store yet: it does so before its first upload then."""
        self.failed = 0
        """Uploads that failed so far, retries included."""
        self.superseded: SupersededAttempt | None = None
        """Set when a later attempt has claimed the store."""
        self._remote, self._attempt, self._down = remote, attempt, down
        self._waiting: dict[int, Path] = {}
        self._changed = threading.Condition()
        self._busy = self._offered = self._failing = self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="uploads")
        self._thread.start()

    def fetch_newer(self, newest: int) -> bool:
        """Fetch the checkpoint that is newer than the one of step `newest`, and permanent ones; whether there was any.

        Raises:
            CheckpointError: `newest` is 0, which stands for none, and the store cannot be reached.
        """
        try:
            if self._down is not None:
                raise self._down
            return self._fetched_any(newest)
        except StoreError as error:
            if not newest:
                raise CheckpointError(f"whether this training has checkpoints already is not known: {error}") from error
            logger.warning("training resumes from the checkpoints of this machine: %s", error)
            return False

    def _fetched_any(self, newest: int) -> bool:
        names = self._remote.newest()
        fetched = any(self._fetched(name) for name in names if step_of(name) > newest)
        here = {step_of(path) for path in published(self._attempt.root)}
        for name in names:
            if step_of(name) in set(self._remote.permanent) - here:
                fetched |= self._fetched(name)
        return fetched

    def _fetched(self, name: str) -> bool:
        staging = self._attempt.staging(step_of(name))
        shutil.rmtree(staging, ignore_errors=True)
        if self._remote.fetch(name, staging):
            adopt(self._attempt, staging, step_of(name))
            return True
        shutil.rmtree(staging)
        logger.warning("checkpoint refused: %s/%s is not what its manifest says", self._remote.scratch.url, name)
        return False

    def offer(self, step: int, directory: Path) -> None:
        """Queue a published checkpoint; one that still waits is skipped for it, unless it is permanent."""
        with self._changed:
            self._waiting = {old: path for old, path in self._waiting.items() if old in self._remote.permanent}
            self._waiting[step] = directory
            self._offered, self._failing = True, False
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait until all that was offered is uploaded, unless the store is down."""
        with self._changed:
            self._changed.wait_for(lambda: self._failing or self._closed or not (self._waiting or self._busy))

    def close(self) -> None:
        """End the thread, after the file that it is uploading."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        pause = PAUSES[0]
        try:
            while (queued := self._next()) is not None:
                error = self._uploaded(*queued)
                pause = PAUSES[0] if error is None else self._pause(*queued, error, pause)
                self._notify()
        except Exception:
            self.failed += 1
            logger.exception("checkpoints are no longer uploaded; training continues")
        finally:
            self._notify(closed=True)  # nobody may wait for a thread that has died of a bug

    def _notify(self, *, closed: bool = False) -> None:
        with self._changed:
            self._busy, self._closed = False, self._closed or closed
            self._changed.notify_all()

    def _next(self) -> tuple[int, Path] | None:
        """The next checkpoint to upload, permanent ones first; None: there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
            if self._closed:
                return None
            step = min(self._waiting, key=lambda step: (step not in self._remote.permanent, step))
            self._busy, self._offered = True, False
            return step, self._waiting.pop(step)

    def _uploaded(self, step: int, directory: Path) -> StoreError | None:
        """Upload a checkpoint; the error of the store, if it is to be tried again."""
        try:
            if self._down is not None:
                self._remote.claim()
            self._down = None
            self._remote.put(directory, lambda: not self._closed)
        except SupersededAttempt as superseded:
            self.superseded = superseded
        except StoreError as error:
            return error if directory.is_dir() else None
        self._failing = False
        return None

    def _pause(self, step: int, directory: Path, error: StoreError, pause: float) -> float:
        """Wait for the pause or a newer checkpoint, and queue this one again unless there is one; the next pause."""
        logger.warning("step %d: checkpoint not copied, tried again: %s", step, error)
        with self._changed:
            self.failed, self._failing = self.failed + 1, not self._offered
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._offered, timeout=pause)
            if step in self._remote.permanent or not self._waiting:
                self._waiting.setdefault(step, directory)
        return min(2 * pause, PAUSES[1])


def start_uploads(scratch: RemoteScratch, attempt: Attempt, *, keep: int, permanent: Collection[int]) -> Uploads:
    """Claim the store for an attempt, and start the thread; a store that is down is claimed later."""
    remote = RemoteCheckpoints(scratch, keep, frozenset(permanent))
    try:
        remote.claim()
    except StoreError as error:
        return Uploads(remote, attempt, down=error)
    return Uploads(remote, attempt)
