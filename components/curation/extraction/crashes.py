"""Counts how often each raw file crashes its worker, in a note file beside the shard's tables.

The note is needed because a crashed worker cannot report anything itself. A crash is a process exit without an exception, such as
a segfault or an out-of-memory kill, while a file is read. A read that returns, raises an exception or is interrupted is not a
crash. `SIGTERM` counts as an interruption, so that stopping a job blames no file.

Crashes of a file are counted until it is read successfully. If the driver reads files in its own process, they are counted across
runs; otherwise only within the driver's run, because workers of an earlier driver may have exited when it was stopped.
"""

import contextlib
import io
import json
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from components.artifacts import decoded, encoded
from components.files import write_text

NOTE = "reading.jsonl"


def new_run() -> str:
    """An id for one run of the driver: its host and process, and a unique suffix."""
    return f"{_process()}/{uuid.uuid4().hex}"


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass
class CrashCounts:
    """How often each file of a shard has crashed its worker, by the file's number in the shard."""

    directory: Path
    """Directory of the shard."""
    run: str
    """Id of the driver's run that reads the shard, from `new_run`."""
    _counts: dict[str, int] = field(init=False)
    _note: io.FileIO | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        noted = _last_line(self.directory / NOTE)
        self._counts, reading = dict(noted.deaths), noted.reading
        if reading and (reading.alone or reading.run == self.run):
            self._counts[reading.file] = self.of(int(reading.file)) + 1

    def of(self, file: int) -> int:
        """How often a file has crashed its worker so far."""
        return self._counts.get(str(file), 0)

    def close(self) -> None:
        """Record that no file is being read, so that no file is blamed if the process exits from now on."""
        self._write(None)
        assert self._note is not None
        self._note.close()
        self._note = None

    @contextlib.contextmanager
    def watched(self, file: int) -> Iterator[None]:
        """Context in which a file is read: the file is blamed if the process crashes before the block ends."""
        alone = self.run.rpartition("/")[0] == _process()
        self._write(_Reading(file=str(file), run=self.run, alone=alone))
        try:
            yield
        except BaseException:
            self.close()
            raise
        # The reset count is written together with the note about the next file: a write per small file would be expensive.
        self._counts.pop(str(file), None)

    def _write(self, reading: "_Reading | None") -> None:
        line = json.dumps(encoded(_Noted(deaths=self._counts, reading=reading))) + "\n"
        if self._note is None:
            self._note = write_text(self.directory / NOTE, line).open("ab", buffering=0)
        else:
            # Appending takes a microsecond. Replacing the file instead took a sixth of the time of reading and filtering files of
            # 10 kB, since ext4 flushes a file that is renamed over another (auto_da_alloc).
            self._note.write(line.encode())


@dataclass(frozen=True, slots=True)
class _Reading:
    """The file that a worker is reading."""

    file: str
    """The file's number in the shard."""
    run: str
    alone: bool
    """Whether the driver reads in its own process, without workers."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """One line of the note file: crashes by file number, and the file being read."""

    deaths: Mapping[str, int]
    reading: _Reading | None


def _last_line(note: Path) -> _Noted:
    """The last valid line of the note; after a power failure, incomplete data may follow it."""
    for line in reversed(note.read_bytes().splitlines() if note.exists() else []):
        with contextlib.suppress(ValueError):
            return decoded(_Noted, json.loads(line))
    return _Noted(deaths={}, reading=None)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Context in which `SIGTERM` raises `SystemExit` instead of killing the process; it has an effect only in the main thread."""
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
