"""What was hashed is remembered, so that the bytes of an artifact are hashed once in a run, and once on a machine.

A file counts as unchanged while its size, mtime, ctime and inode are those that it had when it was hashed: no program can choose
a ctime. A write in the same tick of the clock as an earlier one can leave it as it was, so only a file is remembered whose last
change is older than its hashing (git's index has the same problem: Documentation/technical/racy-git.txt).

A run trusts what it hashed itself, while it wrote a file too. On the disk stands only what was read back from it: of files that
were there before the run started. Where what is remembered differs from a file in anything, the file is hashed again.
"""

import contextlib
import hashlib
import json
import logging
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from components.artifacts import Artifact, FileRecord, sha256_of_file
from components.errors import single_line
from components.files import written_beside

logger = logging.getLogger(__name__)

REMEMBERED = "cache/verified"
"""Where below a store's root, by machine and URI. Below `cache`, because losing it costs time alone."""

_TICK_SECONDS = 0.1
"""Longer than Linux takes between two time stamps of files: 1 to 10 ms, and more on a busy virtual machine."""

_COARSE = 2 * 10**9
"""Nanoseconds between two time stamps of a file system that keeps whole seconds; FAT keeps every second one."""

_REALTIME_COARSE = 5
"""The clock of Linux that inodes are stamped by (linux/time.h, fs/inode.c: current_time), which Python does not name."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a file from a later state of it without reading it. Times are in nanoseconds."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The stamp of a file now. Raises `OSError` where there is none."""
        status = path.stat()
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def lasting(self) -> list[int]:
        """What is remembered on the disk: a device may have another number when the machine has started again."""
        return [self.size, self.mtime_ns, self.ctime_ns, self.inode]


def file_clock() -> int:
    """Nanoseconds, by the clock that files are stamped with."""
    return time.clock_gettime_ns(_REALTIME_COARSE if sys.platform == "linux" else time.CLOCK_REALTIME)


@dataclass(eq=False)
class HashedFiles:
    """sha256 of the files that this process hashed in this run, by their stamps."""

    clock: Callable[[], int] = file_clock
    run_started: int = field(init=False)
    """By the clock."""
    _sha256: dict[Stamp, str] = field(init=False)

    def __post_init__(self) -> None:
        self.start_run()

    def start_run(self) -> None:
        """Forget what an earlier run of this process hashed."""
        self._sha256, self.run_started = {}, self.clock()

    def sha256(self, path: Path) -> str:
        """sha256 of a file, in hex. It is read unless this run has hashed it and it is unchanged since."""
        return self.hash(path)[0]

    def hash(self, path: Path) -> tuple[str, Stamp | None]:
        """The same, and the stamp of what was hashed; None where a later change of the file might not show."""
        stamp = Stamp.of(path)
        if stamp in self._sha256:
            return self._sha256[stamp], stamp
        settled = self._settled(stamp.ctime_ns)
        sha256 = sha256_of_file(path)
        if not settled or Stamp.of(path) != stamp:
            return sha256, None
        self._sha256[stamp] = sha256
        return sha256, stamp

    def move(self, source: Path, target: Path, sha256: str) -> None:
        """Move a file that was hashed while it was written, and remember it under its new stamp."""
        before = Stamp.of(source)
        settled = self._settled(before.mtime_ns)
        source.replace(target)
        stamp = Stamp.of(target)
        if settled and (stamp.inode, stamp.size, stamp.mtime_ns) == (before.inode, before.size, before.mtime_ns):
            self._sha256[stamp] = sha256

    def precedes_run(self, stamp: Stamp) -> bool:
        """Whether a file has not been written since the run started."""
        return stamp.ctime_ns + _granularity(stamp.ctime_ns) < self.run_started

    def _settled(self, changed: int) -> bool:
        """Whether a change after the last one, at `changed`, would show. Waits for the next tick if that is all it takes."""
        shows = changed + _granularity(changed)
        deadline = time.monotonic() + _TICK_SECONDS
        while 0 <= shows - self.clock() < _TICK_SECONDS * 10**9 and time.monotonic() < deadline:
            time.sleep(_TICK_SECONDS / 100)
        return shows < self.clock()


def _granularity(time_ns: int) -> int:
    return 0 if time_ns % 10**9 else _COARSE


HASHED = HashedFiles()
"""Those of this process."""


@dataclass(frozen=True)
class VerifiedFiles:
    """The files of an artifact that are known to equal their records: remembered on this machine."""

    root: Path
    """Of the store."""
    artifact: Artifact
    hashed: HashedFiles = HASHED

    @property
    def path(self) -> Path:
        """Where it is remembered: a file of this machine, because another one reads through caches of its own."""
        return self.root / REMEMBERED / (platform.node() or "localhost") / f"{self.artifact.uri}.json"

    def differences(self, records: Iterable[FileRecord]) -> dict[str, str]:
        """How files differ from their records, by path. Files that are known to be equal are not read."""
        directory, known = self.root / self.artifact.uri, self._known()
        differences, verified = dict[str, str](), dict[str, list[int]]()
        for record in records:
            path = directory / record.path
            if wrong := wrong_size(size_of(path), record):
                differences[record.path] = wrong
            elif known.get(record.path) != Stamp.of(path).lasting:
                sha256, stamp = self.hashed.hash(path)
                if wrong := wrong_hash(sha256, record):
                    differences[record.path] = wrong
                elif stamp and self.hashed.precedes_run(stamp):
                    verified[record.path] = stamp.lasting
        if verified:
            self._remember(verified)
        return differences

    def _known(self) -> Mapping[str, list[int]]:
        """The files that were equal, with what lasts of their stamps; none where that is damaged, or of a later time than now."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            checksum, _, remembered = self.path.read_bytes().partition(b"\n")
            if checksum.decode() == hashlib.sha256(remembered).hexdigest():
                values = json.loads(remembered)
                if values["digest"] == self.artifact.digest and values["verified_ns"] <= self.hashed.clock():
                    return dict(values["files"])
        return {}

    def _remember(self, verified: Mapping[str, list[int]]) -> None:
        """Add files to those that are known. Of two processes at once, the later one may forget what the other adds."""
        files = {**self._known(), **verified}
        values = {"digest": self.artifact.digest, "verified_ns": self.hashed.clock(), "files": files}
        remembered = json.dumps(values).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(self.path) as beside:
                beside.write_bytes(hashlib.sha256(remembered).hexdigest().encode() + b"\n" + remembered)
        except OSError as error:
            logger.warning("%s: not remembered (%s); the artifact will be hashed again", self.path, single_line(error))

    def forget(self) -> None:
        """Remove what any machine remembers of the artifact."""
        for path in (self.root / REMEMBERED).glob(f"*/{self.artifact.uri}.json"):
            path.unlink(missing_ok=True)


def size_of(path: Path) -> int | None:
    """Bytes of a file; None where there is none."""
    return path.stat().st_size if path.is_file() else None


def wrong_size(size: int | None, record: FileRecord) -> str:
    """How a file's size in bytes differs from its record; None: there is no file. Empty if it does not differ."""
    if size is None:
        return f"{record.path}: missing"
    return "" if size == record.size else f"{record.path}: {size} bytes, the manifest says {record.size}"


def wrong_hash(sha256: str, record: FileRecord) -> str:
    """How a file's hash differs from its record; empty if it does not."""
    return "" if sha256 == record.sha256 else f"{record.path}: sha256 differs from the manifest"
