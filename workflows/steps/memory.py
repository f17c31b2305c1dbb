"""Measures the memory of a step: of this process and all processes below it, such as Ray's workers on this machine."""

import contextlib
import threading
from dataclasses import dataclass, field
from typing import Self

import psutil

_SECONDS = 2.0
"""Seconds between two measurements; each takes some milliseconds."""


@dataclass
class PeakMemory:
    """The highest sum of private memory within a block, measured at its start, every two seconds, and at its end.

    Memory that processes share, such as Ray's object store, is not counted: it would be counted once per process.
    """

    bytes: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._measure()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._measure()

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._measure()

    def _measure(self) -> None:
        own = psutil.Process()
        self.bytes = max(self.bytes, sum(map(_private, [own, *own.children(recursive=True)])))


def _private(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):  # it may have ended since it was listed
        memory = process.memory_info()
        return int(memory.rss) - int(getattr(memory, "shared", 0))
    return 0
