"""Copying checkpoints to a store in the background: a store that is down costs nothing but its copies.

The newest checkpoint is tried again until it is there or a newer one is; those between, which were late, are left out.
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
"""Seconds before the second try, doubled up to the longest: one that comes back is noticed, one that does not left alone."""


class Uploads:
    """The thread that copies one training's checkpoints."""

    def __init__(self, remote: RemoteCheckpoints, attempt: Attempt, *, down: StoreError | None = None) -> None:
        """Start it; `down` says why the attempt has not claimed the place yet: it does so before its first copy then."""
        self.failed = 0
        """Tries so far that came to nothing."""
        self.superseded: SupersededAttempt | None = None
        """That a later attempt's checkpoints count now."""
        self._remote, self._attempt, self._down = remote, attempt, down
        self._waiting: dict[int, Path] = {}
        self._changed = threading.Condition()
        self._busy = self._offered = self._failing = self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="uploads")
        self._thread.start()

    def bring_back(self, newest: int) -> bool:
        """Bring what is newer than the checkpoint of step `newest`, and permanent ones; whether there was something.

        Raises:
            CheckpointError: `newest` is 0, which is none, and the store cannot be asked for one.
        """
        try:
            if self._down is not None:
                raise self._down
            return self._brought(newest)
        except StoreError as error:
            if not newest:
                raise CheckpointError(f"whether this training has checkpoints already is not known: {error}") from error
            logger.warning("training goes on from the checkpoints of this machine: %s", error)
            return False

    def _brought(self, newest: int) -> bool:
        names = self._remote.newest()
        brought = any(self._fetched(name) for name in names if step_of(name) > newest)
        here = {step_of(path) for path in published(self._attempt.root)}
        for name in names:
            if step_of(name) in set(self._remote.permanent) - here:
                brought |= self._fetched(name)
        return brought

    def _fetched(self, name: str) -> bool:
        staging = self._attempt.staging(step_of(name))
        shutil.rmtree(staging, ignore_errors=True)
        if self._remote.fetch(name, staging):
            adopt(self._attempt, staging, step_of(name))
            return True
        shutil.rmtree(staging)
        logger.warning("checkpoint refused: %s/%s is not what its manifest says", self._remote.place.url, name)
        return False

    def offer(self, step: int, directory: Path) -> None:
        """Copy a published checkpoint; another that still waits is left out for it, unless it is permanent."""
        with self._changed:
            self._waiting = {old: path for old, path in self._waiting.items() if old in self._remote.permanent}
            self._waiting[step] = directory
            self._offered, self._failing = True, False
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait until what was offered is there, unless the store is down."""
        with self._changed:
            self._changed.wait_for(lambda: self._failing or self._closed or not (self._waiting or self._busy))

    def close(self) -> None:
        """End the thread, after the file that is on its way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        pause = PAUSES[0]
        try:
            while (job := self._next()) is not None:
                error = self._tried(*job)
                pause = PAUSES[0] if error is None else self._pause(*job, error, pause)
                self._tell()
        except Exception:
            self.failed += 1
            logger.exception("checkpoints are copied no longer; training goes on")
        finally:
            self._tell(closed=True)  # nobody may wait for a thread that has died of a bug

    def _tell(self, *, closed: bool = False) -> None:
        with self._changed:
            self._busy, self._closed = False, self._closed or closed
            self._changed.notify_all()

    def _next(self) -> tuple[int, Path] | None:
        """What to copy, permanent ones first; None: the end."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
            if self._closed:
                return None
            step = min(self._waiting, key=lambda step: (step not in self._remote.permanent, step))
            self._busy, self._offered = True, False
            return step, self._waiting.pop(step)

    def _tried(self, step: int, directory: Path) -> StoreError | None:
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
        """Wait, unless something newer is offered, and put it back unless that is why; the next pause."""
        logger.warning("step %d: checkpoint not copied, tried again: %s", step, error)
        with self._changed:
            self.failed, self._failing = self.failed + 1, not self._offered
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._offered, timeout=pause)
            if step in self._remote.permanent or not self._waiting:
                self._waiting.setdefault(step, directory)
        return min(2 * pause, PAUSES[1])


def begin(place: RemoteScratch, attempt: Attempt, *, keep: int, permanent: Collection[int]) -> Uploads:
    """Claim a place for an attempt, and start the thread; a store that is down is claimed later."""
    remote = RemoteCheckpoints(place, keep, frozenset(permanent))
    try:
        remote.claim()
    except StoreError as error:
        return Uploads(remote, attempt, down=error)
    return Uploads(remote, attempt)
