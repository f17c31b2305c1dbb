"""Directories in which outputs are written before they are published: `writing/STEP-…/output` below the root of a store.

The process that writes there holds the lock `writing/STEP-…/lock` meanwhile, so others see which directories a killed process has
abandoned.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from components.locks import Lock, is_held

WRITING, LOCK = "writing", "lock"


@contextlib.contextmanager
def output_directory(root: Path, step: str) -> Iterator[Path]:
    """Yield an empty directory for an output of `step`; what it still contains at the end is deleted."""
    directory, lock = _locked_directory(root / WRITING, step)
    try:
        (directory / "output").mkdir()
        yield directory / "output"
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        lock.release()


def _locked_directory(parent: Path, step: str) -> tuple[Path, Lock]:
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        directory = Path(tempfile.mkdtemp(prefix=f"{step}-", dir=parent))
        lock = Lock(directory / LOCK)
        if lock.acquire():
            return directory, lock
        # Another process has just taken the new directory for an abandoned one


def abandoned(root: Path) -> list[Path]:
    """The directories whose process has ended without deleting them, sorted."""
    return sorted(path for path in root.glob(f"{WRITING}/*") if not is_held(path / LOCK))


def delete_abandoned(directory: Path) -> None:
    """Delete a directory of `abandoned`, unless a process has just created it."""
    lock = Lock(directory / LOCK)
    if directory.is_dir() and lock.acquire():
        shutil.rmtree(directory, ignore_errors=True)
        lock.release()
