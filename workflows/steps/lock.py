"""The locks of a home, by which runs that use it at the same time, and `longrun gc`, do not disturb each other.

runs/RUN/lock        held by a run until it ends: `gc` keeps what running runs use
locks/STEP/KEY       held while a run makes the artifact of a step and cache key: others that need it wait, and reuse it
locks/…-index/CODE   shared by the runs that use the index of a step
lock                 shared while a run takes up or publishes an artifact and writes so to its journal; exclusive while `gc` lists
                     and deletes
"""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from components.locks import Lock, holding, is_held
from workflows.steps import journal
from workflows.steps.journal import Journal
from workflows.steps.run import Run


@contextlib.contextmanager
def running(run: Journal, home: Path) -> Iterator[None]:
    """Mark a run of the home as running until the block ends."""
    lock = Lock(run.directory / "lock")
    with recording(home):
        lock.acquire(_holder(run.name))
    try:
        yield
    finally:
        lock.release()


def is_running(run: Journal) -> bool:
    """Whether the process of a run on this machine is alive."""
    return is_held(run.directory / "lock")


@contextlib.contextmanager
def recording(home: Path) -> Iterator[None]:
    """Within the block, take up or publish artifacts and write so to a journal; no `deleting` runs meanwhile."""
    with holding(Lock(home / "lock", shared=True), "", lambda holder: _tell(f"{holder} is deleting artifacts in {home}")):
        yield


@contextlib.contextmanager
def deleting(home: Path) -> Iterator[None]:
    """Within the block, no run starts, and none takes up, publishes or starts to make an artifact."""
    with holding(Lock(home / "lock"), _holder("gc"), lambda _: _tell(f"a run is publishing an artifact in {home}")):
        yield


@contextlib.contextmanager
def making(run: Run, step: str, cache_key: str) -> Iterator[bool]:
    """Hold the lock of a step and cache key within the block; yields False, without the lock, if another process holds it."""
    lock = _of_step(run, step, cache_key)
    with recording(Path(run.home)):
        held = lock.acquire(_holder(run.journal.name))
    try:
        yield held
    finally:
        lock.release()


async def wait_for_maker(run: Run, step: str, cache_key: str) -> None:
    """Write to the journal which process makes the artifact of a step and cache key, and wait until it has ended doing so."""
    lock = _of_step(run, step, cache_key)
    run.journal.write("waiting", step=step, why=f"{lock.holder} is making {step}{_CONTINUES}")
    while is_held(lock.path):
        await asyncio.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def using(directory: Path) -> Iterator[None]:
    """Share a directory of `scratch` with other runs within the block; neither `--fresh` nor `gc` deletes it meanwhile."""
    with holding(Lock(lock_of(directory), shared=True), "", lambda holder: _tell(f"{holder} is deleting {directory}")):
        yield


def delete_unused(directory: Path) -> None:
    """Delete a directory of `scratch` that runs share; waits until none uses it."""
    lock = Lock(lock_of(directory))
    with holding(lock, _holder("--fresh"), lambda _: _tell(f"another run is using {directory}")):
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def alone(home: Path, command: str) -> Iterator[None]:
    """Let only one process at a time execute a command in the home."""
    with holding(Lock(home / "locks" / command), _holder(command), lambda holder: _tell(f"{holder} is using {home}")):
        yield


def lock_of(scratch: Path) -> Path:
    """The file of the lock that is held while the directory `scratch/STEP/KEY` is used."""
    return scratch.parents[2] / "locks" / scratch.parent.name / scratch.name


_POLL_SECONDS = 0.1
"""Seconds between two looks at the lock of a step that another process makes. The event loop runs meanwhile."""

_CONTINUES = "; this run continues when that is done (Ctrl-C to give up)"


def _of_step(run: Run, step: str, cache_key: str) -> Lock:
    return Lock(lock_of(run.store.scratch(step, cache_key)))


def _holder(name: str) -> str:
    return f"process {os.getpid()} ({name}, since {time.strftime('%H:%M:%S')})"


def _tell(why: str) -> None:
    journal.show("waiting", why=f"{why}{_CONTINUES}")
