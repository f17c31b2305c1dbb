"""Locks a home, so that only one run at a time uses it."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from workflows.steps import journal


@contextlib.contextmanager
def holding(home: Path) -> Iterator[None]:
    """Hold the home's lock within the block. If another process holds it, tell the listeners which one, and wait."""
    from filelock import FileLock, Timeout

    lock = FileLock(home / "lock")
    holder = home / "lock.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = holder.read_text() if holder.is_file() else "another process"
        journal.show("waiting", why=f"{who} is using {home}; this run starts when it ends (Ctrl-C to give up)")
        lock.acquire()
    try:
        holder.write_text(f"process {os.getpid()} (since {time.strftime('%H:%M:%S')})")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
