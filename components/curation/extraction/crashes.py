"""Files that workers die of: a note beside a shard's tables, since a dead worker tells nothing itself.

A death is an end without a word, as of a segmentation fault or the kernel's want of memory, while a file is read. A read that
returns, raises, or is interrupted is none, and `SIGTERM` interrupts too, so that whoever stops a job condemns no file. Deaths
are counted by file until the file is read, over all runs of the driver where it is the worker itself; other workers may have died
because an earlier driver was stopped, so theirs count in the driver's own run alone.
"""

import contextlib
import io
import json
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

NOTE = "reading.jsonl"


def new_run() -> str:
    """Names one call of the driver: its process and something that no other call has."""
    return f"{_process()}/{uuid.uuid4().hex}"


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass
class CrashCounts:
    """How often a worker died of each file of a shard, by the file's number in it."""

    directory: Path
    """Directory of the shard."""
    run: str
    """The run of the driver that the shard is read in, by `new_run`."""
    _counts: dict[str, int] = field(init=False)
    _note: io.FileIO | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        found = _last(self.directory / NOTE)
        self._counts = found["deaths"]
        last = found["reading"]
        if last and (last["alone"] or last["run"] == self.run):
            self._counts[last["file"]] = self.of(int(last["file"])) + 1

    def of(self, file: int) -> int:
        """Deaths of a file so far."""
        return self._counts.get(str(file), 0)

    def end(self) -> None:
        """No file is being read any more: what ends the process from here on is nobody's doing."""
        self._write(None)
        assert self._note is not None
        self._note.close()
        self._note = None

    @contextlib.contextmanager
    def watched(self, file: int) -> Iterator[None]:
        """While a file is read: it is suspected if the process is no more before the block ends."""
        alone = self.run.rpartition("/")[0] == _process()
        self._write({"file": str(file), "run": self.run, "alone": alone})
        try:
            yield
        except BaseException:
            self.end()
            raise
        # Written with the next file's note: a file may be of few bytes.
        self._counts.pop(str(file), None)

    def _write(self, reading: dict[str, Any] | None) -> None:
        line = json.dumps({"deaths": self._counts, "reading": reading}).encode() + b"\n"
        if self._note is None:
            path = self.directory / NOTE
            partial = path.with_suffix(".partial")
            partial.write_bytes(line)
            partial.replace(path)
            self._note = path.open("ab", buffering=0)
        else:
            # A line more takes a microsecond. A file renamed over another is written out at once by ext4 (auto_da_alloc), which
            # was a sixth of the time of reading and filtering files of 10 kB.
            self._note.write(line)


def _last(note: Path) -> dict[str, Any]:
    """What the last line says that is whole: a machine that lost its power may leave anything behind it."""
    for line in reversed(note.read_bytes().splitlines() if note.exists() else []):
        with contextlib.suppress(ValueError):
            found: dict[str, Any] = json.loads(line)
            return found
    return {"deaths": {}, "reading": None}


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block `SIGTERM` raises `SystemExit`, where it would end the process without a word; in the main thread alone."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
