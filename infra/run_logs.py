"""Stores the logs of a run's steps next to the artifacts, because pods and their files are deleted soon after a step ends.

logs/RUN/STEP/step.log        output of the step's own process
logs/RUN/STEP/worker-N.log    output of a worker of its Ray cluster; for training, the worker of rank N
logs/RUN/STEP/head/NAME       Ray's own log files on the head
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.errors import ConfigError
from components.files import written_beside
from infra.bucket import Bucket, object_store_endpoint
from infra.urls import HERE

STEP_LOG = "step.log"
"""Name of the log of a step's own process."""

MAX_BYTES = 4 * 2**20
"""Maximum size of a log in the store. Of longer logs the start and the end are kept."""

_FIRST_BYTES = MAX_BYTES // 8
_LAST_BYTES = MAX_BYTES - _FIRST_BYTES

_NAME = re.compile(r"[\w=+-][\w.=+-]*(/[\w=+-][\w.=+-]*)*", re.ASCII)
"""Names of runs, steps and logs: none can point outside the folder."""


@dataclass(frozen=True)
class RunLogs:
    """The logs of all runs whose artifacts are at `root`. Every method raises `StoreError` if the store cannot be used."""

    root: str
    """URL such as s3://bucket/prefix, or `infra.urls.HERE` for the home."""
    home: Path
    """The home, used if `root` is `HERE`."""

    def put(self, run: str, step: str, name: str, data: bytes) -> None:
        """Store a log, shortened to `MAX_BYTES`, replacing one of the same name."""
        path = _path(run, step, name)
        if self.root == HERE:
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
            with written_beside(self.home / path) as beside:
                beside.write_bytes(shortened(data))
        else:
            self._bucket.write(path, shortened(data))

    def steps(self, run: str) -> list[str]:
        """The steps of a run that have logs, sorted by name."""
        return sorted({name.split("/")[0] for name in self._below(_path(run))})

    def names(self, run: str, step: str) -> list[str]:
        """The names of a step's logs: its own first, then the workers' by number, then the head's."""
        return sorted(self._below(_path(run, step)), key=_order)

    def lines(self, run: str, step: str, name: str) -> Iterator[str]:
        """The lines of a log, without line ends. Raises `ConfigError` if there is no such log."""
        path = _path(run, step, name)
        data = self._read(path)
        if data is None:
            known = ", ".join(self.names(run, step)) or "none"
            raise ConfigError(f"no log {name} of step {step} in run {run} at {self.root}; existing logs: {known}")
        return iter(data.decode(errors="replace").splitlines())

    def _read(self, path: str) -> bytes | None:
        if self.root != HERE:
            return self._bucket.get(path)[0]
        file = self.home / path
        return file.read_bytes() if file.is_file() else None

    def _below(self, folder: str) -> list[str]:
        if self.root != HERE:
            return list(self._bucket.sizes(folder))
        directory = self.home / folder
        return [path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()]

    @property
    def _bucket(self) -> Bucket:
        return Bucket(self.root, object_store_endpoint(self.root))


class Shortened:
    """A growing log of which at most about `MAX_BYTES` are kept: the start and the end."""

    def __init__(self) -> None:
        self._first, self._last, self._size = bytearray(), bytearray(), 0

    def add(self, data: bytes) -> None:
        """Append to the log."""
        self._size += len(data)
        room = _FIRST_BYTES - len(self._first)
        self._first += data[:room]
        self._last += data[room:]
        if len(self._last) > 2 * _LAST_BYTES:
            del self._last[:-_LAST_BYTES]

    @property
    def size(self) -> int:
        """Bytes of the whole log so far."""
        return self._size

    def data(self) -> bytes:
        """The log; if it is too long, a line in place of the middle says how many bytes are left out."""
        last = bytes(self._last[-_LAST_BYTES:])
        more = self._size - len(self._first) - len(last)
        return bytes(self._first) + (f"\n… {more} bytes left out …\n".encode() if more else b"") + last


def shortened(data: bytes) -> bytes:
    """A log shortened to about `MAX_BYTES`, as `Shortened` does."""
    log = Shortened()
    log.add(data)
    return log.data()


def worker_log(number: int) -> str:
    """The name of the log of worker `number`, from 0."""
    return f"worker-{number}.log"


def _path(run: str, *names: str) -> str:
    for name in (run, *names):
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no name of a run, step or log; allowed: letters, digits and . _ - + =, no leading dots"
            )
    return "/".join(("logs", run, *names))


def _order(name: str) -> tuple[int, int, str]:
    if name == STEP_LOG:
        return 0, 0, name
    number = re.fullmatch(r"worker-(\d+)\.log", name)
    return (1, int(number[1]), name) if number else (2, 0, name)
