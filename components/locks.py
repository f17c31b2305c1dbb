"""Locks on files, between processes on one machine or on several machines with a shared file system.

The kernel releases a lock when the process that holds it ends, however it ends (flock(2)), so no lock outlives its holder.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from components.errors import HomeError


class Lock:
    """A lock on a file. It is exclusive, or shared with other processes that take it shared.

    Its file says who holds it. It is created when it is needed, and deleted when an exclusive lock is released.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path, self.shared = path, shared
        self._descriptor: int | None = None

    def acquire(self, holder: str = "", *, wait: bool = False) -> bool:
        """Take the lock and return True; if another process holds it, wait for it or return False.

        `holder` describes this process for others that wait.

        Raises:
            HomeError: the file cannot be created, or its file system does not support locks.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            kind = fcntl.LOCK_SH if self.shared else fcntl.LOCK_EX
            self._descriptor = _locked_file(self.path, kind if wait else kind | fcntl.LOCK_NB)
        except OSError as error:
            raise HomeError(
                f"{self.path} cannot be locked: {error.strerror}; choose a directory that is writable and supports flock"
            ) from error
        if self._descriptor is None:
            return False
        if not self.shared:
            with contextlib.suppress(OSError):  # on a full disk the lock is held all the same
                os.truncate(self._descriptor, 0)
                os.write(self._descriptor, holder.encode())
        return True

    def release(self) -> None:
        """Release the lock, if this object holds it."""
        if self._descriptor is None:
            return
        if not self.shared and _is_at(self._descriptor, self.path):
            # Whoever has opened the file meanwhile notices that it is no longer at its path
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    @property
    def holder(self) -> str:
        """Who holds the lock exclusively, as its holder described itself."""
        with contextlib.suppress(OSError):
            if text := self.path.read_text(errors="replace"):
                return text
        return "another process"


@contextlib.contextmanager
def holding(lock: Lock, holder: str, wait: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock within the block. If another process holds it, call `wait` once with its description, and wait."""
    if not lock.acquire(holder):
        wait(lock.holder)
        lock.acquire(holder, wait=True)
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock on the file `path`, exclusively or shared."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def _locked_file(path: Path, kind: int) -> int | None:
    """A descriptor of the locked file; None if another process holds the lock."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        with contextlib.ExitStack() as closing:
            closing.callback(os.close, descriptor)
            if not _take(descriptor, kind):
                return None
            if _is_at(descriptor, path):
                closing.pop_all()
                return descriptor


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at `path`: the last holder may have deleted it since it was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
