"""Files that crash their workers, noted in a file beside a shard's tables, since a dead worker reports nothing itself.

A crash is a process exit without an exception, such as a segfault or an out-of-memory kill, while a file is read. A read that
returns, raises or is interrupted is not one, and `SIGTERM` interrupts too, so that stopping a job blames no file. Crashes are
counted by file until the file is read: over all runs if the driver reads the file in its own process; otherwise only within the
driver's run, because workers of an earlier driver may have ended when it was stopped.
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
    """Identifies one call of the driver: its process, and a unique suffix."""
    return f"{_process()}/{uuid.uuid4().hex}"


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass
class CrashCounts:
    """How often each file of a shard has crashed its worker, by the file's number in the shard."""

    directory: Path
    """Directory of the shard."""
    run: str
    """The driver's run that reads the shard, by `new_run`."""
    _counts: dict[str, int] = field(init=False)
    _note: io.FileIO | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        noted = _last_line(self.directory / NOTE)
        self._counts, reading = dict(noted.deaths), noted.reading
        if reading and (reading.alone or reading.run == self.run):
            self._counts[reading.file] = self.of(int(reading.file)) + 1

    def of(self, file: int) -> int:
        """Crashes of a file so far."""
        return self._counts.get(str(file), 0)

    def close(self) -> None:
        """Note that no file is being read any more: if the process dies from here on, no file is blamed."""
        self._write(None)
        assert self._note is not None
        self._note.close()
        self._note = None

    @contextlib.contextmanager
    def watched(self, file: int) -> Iterator[None]:
        """Context in which a file is read: the file is blamed if the process dies before the block ends."""
        alone = self.run.rpartition("/")[0] == _process()
        self._write(_Reading(file=str(file), run=self.run, alone=alone))
        try:
            yield
        except BaseException:
            self.close()
            raise
        # Written with the note about the next file, since a file may have only a few bytes.
        self._counts.pop(str(file), None)

    def _write(self, reading: "_Reading | None") -> None:
        line = json.dumps(encoded(_Noted(deaths=self._counts, reading=reading))) + "\n"
        if self._note is None:
            self._note = write_text(self.directory / NOTE, line).open("ab", buffering=0)
        else:
            # Appending takes a microsecond. ext4 writes out a file that is renamed over another at once (auto_da_alloc): that was
            # a sixth of the time of reading and filtering files of 10 kB.
            self._note.write(line.encode())


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a worker reads."""

    file: str
    """The file's number in the shard."""
    run: str
    alone: bool
    """Whether the driver reads in its own process, with no workers."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """A line of the note: crashes by file, and the file that is being read."""

    deaths: Mapping[str, int]
    reading: _Reading | None


def _last_line(note: Path) -> _Noted:
    """The last complete line: after a power failure, anything may follow it."""
    for line in reversed(note.read_bytes().splitlines() if note.exists() else []):
        with contextlib.suppress(ValueError):
            return decoded(_Noted, json.loads(line))
    return _Noted(deaths={}, reading=None)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Context in which `SIGTERM` raises `SystemExit` instead of ending the process at once; only in the main thread."""
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
