"""What the steps of a run have printed, kept where the artifacts are: pods and their files are gone soon after a step.

logs/RUN/STEP/step.log        what the step's own process printed
logs/RUN/STEP/worker-N.log    what a worker of its Ray cluster printed; of a training, the worker of rank N
logs/RUN/STEP/head/NAME       what the processes of Ray itself wrote on the head
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
"""The log of a step's own process."""

MAX_BYTES = 4 * 2**20
"""Of one log in the store: the beginning, which says what was started, and the end, which says how it ended."""

_FIRST_BYTES = MAX_BYTES // 8
_LAST_BYTES = MAX_BYTES - _FIRST_BYTES

_NAME = re.compile(r"[\w=+-][\w.=+-]*(/[\w=+-][\w.=+-]*)*", re.ASCII)
"""Of a run, a step or a log: nothing that leaves the folder."""


@dataclass(frozen=True)
class RunLogs:
    """The logs of all runs whose artifacts are at `root`. Every method raises `StoreError` where the store refuses."""

    root: str
    """Such as s3://bucket/prefix, or the home."""
    home: Path
    """Stands for `root` where that is the home."""

    def put(self, run: str, step: str, name: str, data: bytes) -> None:
        """Keep a log, cut to `MAX_BYTES`; one of that name is replaced."""
        path = _path(run, step, name)
        if self.root == HERE:
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
            with written_beside(self.home / path) as beside:
                beside.write_bytes(shortened(data))
        else:
            self._bucket.write(path, shortened(data))

    def steps(self, run: str) -> list[str]:
        """The steps of a run that have logs, in the order of their names."""
        return sorted({name.split("/")[0] for name in self._below(_path(run))})

    def names(self, run: str, step: str) -> list[str]:
        """The logs of a step: its own first, then those of the workers by number, then the head's."""
        return sorted(self._below(_path(run, step)), key=_order)

    def lines(self, run: str, step: str, name: str) -> Iterator[str]:
        """The lines of a log, without their ends. Raises `ConfigError` where there is none of that name."""
        path = _path(run, step, name)
        data = self._read(path)
        if data is None:
            known = ", ".join(self.names(run, step)) or "none"
            raise ConfigError(f"{self.root}: no log {name} of step {step} in run {run}; there are: {known}")
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
    """A log that grows, of which `MAX_BYTES` are kept, however long it gets."""

    def __init__(self) -> None:
        self._first, self._last, self._size = bytearray(), bytearray(), 0

    def add(self, data: bytes) -> None:
        """Go on with the log."""
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
        """The log; where it is too long, a line says how much was left out, which is its middle."""
        last = bytes(self._last[-_LAST_BYTES:])
        more = self._size - len(self._first) - len(last)
        return bytes(self._first) + (f"\n… {more} bytes left out …\n".encode() if more else b"") + last


def shortened(data: bytes) -> bytes:
    """What `Shortened` keeps of a log."""
    log = Shortened()
    log.add(data)
    return log.data()


def worker_log(number: int) -> str:
    """The name of the log of worker `number`, from 0."""
    return f"worker-{number}.log"


def _path(run: str, *names: str) -> str:
    for name in (run, *names):
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} names no run, step or log; allowed: letters, digits and . _ - + =, without leading dots")
    return "/".join(("logs", run, *names))


def _order(name: str) -> tuple[int, int, str]:
    if name == STEP_LOG:
        return 0, 0, name
    number = re.fullmatch(r"worker-(\d+)\.log", name)
    return (1, int(number[1]), name) if number else (2, 0, name)
