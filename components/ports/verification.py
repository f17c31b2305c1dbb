"""Remembers which files of artifacts were hashed: each is hashed at most once per run, and later runs on the machine skip it.

A file counts as unchanged if its size, mtime, ctime and inode are the same as when it was hashed; programs cannot set the
ctime. Two writes in the same clock tick give the same ctime, so a file is remembered only if it last changed at least
one clock tick before it was hashed (git's index has the same problem: Documentation/technical/racy-git.txt).

In memory, a run remembers every file that it hashed, including files that it hashed while writing them. On disk, it remembers
only files that existed before the run started, because only these were really read back from disk. A file whose metadata
differ in any way from those remembered is hashed again.
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

CACHE_DIRECTORY = "cache/verified"
"""Directory relative to a store's root; below `cache` because deleting it costs only time."""

_TICK_SECONDS = 0.1
"""Upper bound in seconds for the tick of the clock of file time stamps on Linux. The tick is usually 1 to 10 ms, and longer on a
busy virtual machine."""

_COARSE_RESOLUTION_NS = 2 * 10**9
"""Resolution in nanoseconds that is assumed for file systems whose time stamps are whole seconds; FAT has 2 seconds."""

_REALTIME_COARSE = 5
"""CLOCK_REALTIME_COARSE, the clock of file time stamps on Linux (linux/time.h, fs/inode.c: current_time); Python has no name
for it."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Metadata of a file that changes when the file is written. Times are in nanoseconds."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The current stamp of a file. Raises `OSError` if it does not exist."""
        status = path.stat()
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def persistent(self) -> list[int]:
        """The stamp without the device number, which may change when the machine restarts. This is what is stored on disk."""
        return [self.size, self.mtime_ns, self.ctime_ns, self.inode]


def file_clock() -> int:
    """Current time in nanoseconds on the clock that is used for file time stamps."""
    return time.clock_gettime_ns(_REALTIME_COARSE if sys.platform == "linux" else time.CLOCK_REALTIME)


@dataclass(eq=False)
class HashedFiles:
    """The sha256 of the files that this process has hashed in this run, by their stamps."""

    clock: Callable[[], int] = file_clock
    run_started: int = field(init=False)
    """Start of the run, in nanoseconds on `clock`."""
    _sha256: dict[Stamp, str] = field(init=False)

    def __post_init__(self) -> None:
        self.start_run()

    def start_run(self) -> None:
        """Forget the files that an earlier run in this process has hashed."""
        self._sha256, self.run_started = {}, self.clock()

    def sha256(self, path: Path) -> str:
        """sha256 of a file, in hex. The file is not read again if this run has hashed it and it is unchanged."""
        return self.hash(path)[0]

    def hash(self, path: Path) -> tuple[str, Stamp | None]:
        """sha256 of a file, in hex, and its stamp; no stamp if the file could still change without changing its stamp."""
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
        """Move a file whose sha256 was computed while it was written, and remember its hash under its new stamp."""
        before = Stamp.of(source)
        settled = self._settled(before.mtime_ns)
        source.replace(target)
        stamp = Stamp.of(target)
        if settled and (stamp.inode, stamp.size, stamp.mtime_ns) == (before.inode, before.size, before.mtime_ns):
            self._sha256[stamp] = sha256

    def precedes_run(self, stamp: Stamp) -> bool:
        """Whether a file with that stamp was last changed before the run started."""
        return stamp.ctime_ns + _granularity(stamp.ctime_ns) < self.run_started

    def _settled(self, changed: int) -> bool:
        """Whether a file last changed at `changed` (ns) would get a different time stamp if it changed now.

        If waiting for the next clock tick can make this true, waits for it.
        """
        distinguishable_from = changed + _granularity(changed)
        deadline = time.monotonic() + _TICK_SECONDS
        while 0 <= distinguishable_from - self.clock() < _TICK_SECONDS * 10**9 and time.monotonic() < deadline:
            time.sleep(_TICK_SECONDS / 100)
        return distinguishable_from < self.clock()


def _granularity(time_ns: int) -> int:
    return 0 if time_ns % 10**9 else _COARSE_RESOLUTION_NS


HASHED = HashedFiles()
"""The files that this process has hashed."""


@dataclass(frozen=True)
class VerifiedFiles:
    """Remembers on disk, for this machine, which files of an artifact are known to match the manifest."""

    root: Path
    """Root of the store."""
    artifact: Artifact
    hashed: HashedFiles = HASHED
    """The files hashed in this run."""

    @property
    def path(self) -> Path:
        """The file on disk, one per machine: another machine reads the artifact through its own caches, so it must verify it
        itself."""
        return self.root / CACHE_DIRECTORY / (platform.node() or "localhost") / f"{self.artifact.uri}.json"

    def differences(self, records: Iterable[FileRecord]) -> dict[str, str]:
        """Descriptions of how files differ from their records, by path. Files that are known to match are not read."""
        directory, known = self.root / self.artifact.uri, self._known()
        differences, verified = dict[str, str](), dict[str, list[int]]()
        for record in records:
            path = directory / record.path
            if wrong := size_difference(size_of(path), record):
                differences[record.path] = wrong
            elif known.get(record.path) != Stamp.of(path).persistent:
                sha256, stamp = self.hashed.hash(path)
                if wrong := hash_difference(sha256, record):
                    differences[record.path] = wrong
                elif stamp and self.hashed.precedes_run(stamp):
                    verified[record.path] = stamp.persistent
        if verified:
            self._remember(verified)
        return differences

    def _known(self) -> Mapping[str, list[int]]:
        """Stored stamps of files that matched the manifest, by path.

        Empty if the cache file is missing, damaged, dated in the future, or about another digest.
        """
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            checksum, _, remembered = self.path.read_bytes().partition(b"\n")
            if checksum.decode() == hashlib.sha256(remembered).hexdigest():
                values = json.loads(remembered)
                if values["digest"] == self.artifact.digest and values["verified_ns"] <= self.hashed.clock():
                    return dict(values["files"])
        return {}

    def _remember(self, verified: Mapping[str, list[int]]) -> None:
        """Add files to those stored. If two processes do this at the same time, the entries of one may be lost."""
        files = {**self._known(), **verified}
        values = {"digest": self.artifact.digest, "verified_ns": self.hashed.clock(), "files": files}
        remembered = json.dumps(values).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(self.path) as beside:
                beside.write_bytes(hashlib.sha256(remembered).hexdigest().encode() + b"\n" + remembered)
        except OSError as error:
            logger.warning(
                "%s: cannot be written (%s); the artifact will be hashed again next time", self.path, single_line(error)
            )

    def forget(self) -> None:
        """Delete what any machine has stored about the artifact."""
        for path in (self.root / CACHE_DIRECTORY).glob(f"*/{self.artifact.uri}.json"):
            path.unlink(missing_ok=True)


def size_of(path: Path) -> int | None:
    """Size of a file in bytes; None if it does not exist."""
    return path.stat().st_size if path.is_file() else None


def size_difference(size: int | None, record: FileRecord) -> str:
    """Description of how a file's size in bytes (None: no file) differs from its record; empty if it does not."""
    if size is None:
        return f"{record.path}: missing"
    return "" if size == record.size else f"{record.path}: {size} bytes, the manifest says {record.size}"


def hash_difference(sha256: str, record: FileRecord) -> str:
    """Description of how a file's hash differs from its record; empty if it does not."""
    return "" if sha256 == record.sha256 else f"{record.path}: sha256 differs from the manifest"
