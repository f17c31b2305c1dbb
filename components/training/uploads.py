"""Copying checkpoints to a store in the background: a store that is down costs nothing but its copies.

The newest checkpoint is tried again until it is there or a newer one is; those between, which were late, are left out.
"""

import logging
import shutil
import threading
from collections.abc import Collection
from pathlib import Path

from components.errors import CheckpointError, StoreError, SupersededAttempt
from components.ports import RemotePlace
from components.training.checkpoint_files import Attempt, adopt, published
from components.training.checkpoint_files import step_of as local_step_of
from components.training.remote_checkpoints import RemoteCheckpoints, step_of

logger = logging.getLogger(__name__)

PAUSES = (1.0, 60.0)
"""Seconds before the second try, doubled up to the longest: one that comes back is noticed, one that does not left alone."""


class Uploads:
    """The thread that copies one training's checkpoints."""

    def __init__(self, remote: RemoteCheckpoints, *, claimed: bool) -> None:
        """Start it; `claimed` says whether the attempt has claimed the place already, else it does so before its first copy."""
        self.failed = 0
        """Tries so far that came to nothing."""
        self.superseded: SupersededAttempt | None = None
        """That a later attempt's checkpoints count now."""
        self._remote, self._claimed = remote, claimed
        self._waiting: dict[int, Path] = {}
        self._changed = threading.Condition()
        self._busy = self._offered = self._failing = self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="uploads")
        self._thread.start()

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
            if not self._claimed:
                self._remote.claim()
            self._claimed = True
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


def begin(place: RemotePlace, attempt: Attempt, *, keep: int, permanent: Collection[int]) -> Uploads:
    """Claim a place for an attempt; bring from there the newest checkpoint if it is newer than all here, and permanent ones.

    Raises:
        CheckpointError: there is none here, and the store cannot be asked for one.
    """
    remote, claimed = RemoteCheckpoints(place, keep, frozenset(permanent)), True
    try:
        remote.claim()
        _bring_back(remote, attempt)
    except StoreError as error:
        if not published(attempt.root):
            raise CheckpointError(f"whether this training has checkpoints already is not known: {error}") from error
        logger.warning("training goes on from the checkpoints of this machine: %s", error)
        claimed = False
    return Uploads(remote, claimed=claimed)


def _bring_back(remote: RemoteCheckpoints, attempt: Attempt) -> None:
    here = {local_step_of(path) for path in published(attempt.root)}
    names = remote.newest()
    newer = (name for name in names if step_of(name) > max(here, default=0))
    newest = next((name for name in newer if _fetched(remote, attempt, name)), None)
    here |= {step_of(newest)} if newest else set()
    for name in names:
        if step_of(name) in set(remote.permanent) - here:
            _fetched(remote, attempt, name)


def _fetched(remote: RemoteCheckpoints, attempt: Attempt, name: str) -> bool:
    staging = attempt.staging(step_of(name))
    shutil.rmtree(staging, ignore_errors=True)
    if remote.fetch(name, staging):
        adopt(attempt, staging, step_of(name))
        return True
    shutil.rmtree(staging)
    logger.warning("checkpoint refused: %s/%s is not what its manifest says", remote.place.url, name)
    return False
