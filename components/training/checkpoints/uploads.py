"""Uploads checkpoints to an object store in a background thread. If the store is down, training continues without copies.

The newest checkpoint is retried until it is uploaded or replaced by a newer one; older ones that wait are skipped.
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
"""Seconds before the first retry, and maximum; the pause doubles with each retry."""


class Uploads:
    """The thread that uploads the checkpoints of one training run."""

    def __init__(self, remote: RemoteCheckpoints, attempt: Attempt, *, down: StoreError | None = None) -> None:
        """Start the thread. If `down` is given, the store could not be reached: the attempt claims it before the first upload."""
        self.failed = 0
        """Number of failed uploads so far, including retries."""
        self.superseded: SupersededAttempt | None = None
        """Set when a later attempt has claimed the store."""
        self._remote, self._attempt, self._down = remote, attempt, down
        self._waiting: dict[int, Path] = {}
        self._changed = threading.Condition()
        self._busy = self._offered = self._failing = self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="uploads")
        self._thread.start()

    def fetch_newer(self, newest: int) -> bool:
        """Download the newest checkpoint if it is after `newest`, and missing permanent ones. Returns whether there were any.

        Raises:
            CheckpointError: the store cannot be reached, and `newest` is 0, which means that there is no local checkpoint.
        """
        try:
            if self._down is not None:
                raise self._down
            return self._fetched_any(newest)
        except StoreError as error:
            if not newest:
                raise CheckpointError(f"cannot find out whether this training already has checkpoints: {error}") from error
            logger.warning("resuming from the checkpoints on this machine, because the object store failed: %s", error)
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
        logger.warning("checkpoint refused: %s/%s differs from its manifest", self._remote.scratch.url, name)
        return False

    def offer(self, step: int, directory: Path) -> None:
        """Queue a published checkpoint for upload. Checkpoints that still wait are dropped, except permanent ones."""
        with self._changed:
            self._waiting = {old: path for old, path in self._waiting.items() if old in self._remote.permanent}
            self._waiting[step] = directory
            self._offered, self._failing = True, False
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait until all queued checkpoints are uploaded, or an upload has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._failing or self._closed or not (self._waiting or self._busy))

    def close(self) -> None:
        """Stop the thread after the file that it is uploading."""
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
            self._notify(closed=True)  # so that nobody waits for a thread that has ended

    def _notify(self, *, closed: bool = False) -> None:
        with self._changed:
            self._busy, self._closed = False, self._closed or closed
            self._changed.notify_all()

    def _next(self) -> tuple[int, Path] | None:
        """Wait for the next checkpoint to upload; permanent ones come first. None if the thread should stop."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
            if self._closed:
                return None
            step = min(self._waiting, key=lambda step: (step not in self._remote.permanent, step))
            self._busy, self._offered = True, False
            return step, self._waiting.pop(step)

    def _uploaded(self, step: int, directory: Path) -> StoreError | None:
        """Upload a checkpoint. Returns the store's error if the upload should be retried, otherwise None."""
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
        """Wait for `pause` seconds or until a newer checkpoint is queued; in the first case, queue this one again.

        Returns the length of the next pause in seconds.
        """
        logger.warning("step %d: checkpoint not uploaded, retrying: %s", step, error)
        with self._changed:
            self.failed, self._failing = self.failed + 1, not self._offered
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._offered, timeout=pause)
            if step in self._remote.permanent or not self._waiting:
                self._waiting.setdefault(step, directory)
        return min(2 * pause, PAUSES[1])


def start_uploads(scratch: RemoteScratch, attempt: Attempt, *, keep: int, permanent: Collection[int]) -> Uploads:
    """Claim the store for an attempt and start the upload thread. If the store is down, the thread claims it later."""
    remote = RemoteCheckpoints(scratch, keep, frozenset(permanent))
    try:
        remote.claim()
    except StoreError as error:
        return Uploads(remote, attempt, down=error)
    return Uploads(remote, attempt)
