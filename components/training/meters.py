"""What a training is watched by: speed, utilisation, where each step's time goes, and how much of all time was useful."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch

from components.training.device import peak_flops

PARTS = ("data", "forward", "backward", "step", "checkpoint", "validation")
"""Where time goes: making the batch; the two passes; the optimizer's step with its communication; waiting for a checkpoint's
copy; measuring the model."""

NOT_USEFUL = ("data", "checkpoint", "validation")

WATCH_SECONDS = 10.0
"""Between two reports of what changes slowly."""


class Stopwatch:
    """Seconds by part; on a GPU between events in its queue, so that nothing waits until they are read."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens inside the block belongs to that part."""
        if self._gpu:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._events.append((name, begin, end))
            return
        started = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - started

    def read(self) -> dict[str, float]:
        """Seconds of each part since the last reading."""
        for name, begin, end in self._events:
            end.synchronize()
            self._seconds[name] += begin.elapsed_time(end) / 1000
        found, self._seconds, self._events = self._seconds, dict.fromkeys(PARTS, 0.0), []
        return found


@dataclass
class Goodput:
    """Useful time over all time since the first attempt began: what a checkpoint keeps, the next attempt goes on from.

    Time of steps that were lost with a worker, of the pause after it and of starting again is in no checkpoint, so it is what is
    left over: "restarts".
    """

    started: float = field(default_factory=time.time)
    """Unix time."""
    useful: float = 0.0
    """Seconds of forward and backward passes and updates."""
    lost: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NOT_USEFUL, 0.0))
    """Seconds by cause."""

    def add(self, seconds: float, parts: Mapping[str, float]) -> None:
        """A step is done that took so long in all."""
        for cause in NOT_USEFUL:
            self.lost[cause] += parts[cause]
        self.useful += seconds - sum(parts[cause] for cause in NOT_USEFUL)

    def as_json(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"started": self.started, "useful": self.useful, "lost": dict(self.lost)}

    def figures(self, now: float) -> dict[str, float]:
        """goodput, and what is missing in it by cause; shares of all time."""
        elapsed = max(now - self.started, 1e-9)
        restarts = max(0.0, elapsed - self.useful - sum(self.lost.values()))
        causes = {**self.lost, "restarts": restarts}
        return {"goodput": self.useful / elapsed} | {f"lost/{cause}": seconds / elapsed for cause, seconds in causes.items()}


@dataclass
class Meter:
    """Turns the tokens and seconds of steps into figures."""

    flops_per_token: Mapping[str, float]
    """FLOPs of forward and backward for one token, by the name of the utilisation that they make."""
    peak: float | None
    """FLOP/s of all workers' devices together; None where not known."""
    stopwatch: Stopwatch
    goodput: Goodput = field(default_factory=Goodput)
    _steps: int = 0
    _seconds: float = 0.0
    _since: list[dict[str, float]] = field(default_factory=list)
    _reported: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, device: torch.device, precision: str, flops_per_token: Mapping[str, float] | None, workers: int) -> "Meter":
        """The meter of `workers` devices of one kind."""
        peak = peak_flops(device, precision)
        return cls(flops_per_token or {}, None if peak is None else peak * workers, Stopwatch(device))

    def figures(self, tokens: float, seconds: float, steps_left: int) -> dict[str, float]:
        """A step of so many tokens and seconds is done: its speed, and from time to time what changes slowly.

        tokens_per_second of all workers and the utilisations (PaLM, arXiv 2204.02311, appendix B) where the peak is known;
        then seconds/PART on average, goodput and lost/CAUSE, seconds_left, memory_bytes.
        """
        parts = self.stopwatch.read()
        self.goodput.add(seconds, parts)
        self._steps, self._seconds = self._steps + 1, self._seconds + seconds
        self._since.append(parts)
        speed = self._speed(tokens, seconds - parts["validation"])
        if steps_left and time.monotonic() - self._reported < WATCH_SECONDS:
            return speed
        return speed | self._slow(steps_left)

    def _speed(self, tokens: float, seconds: float) -> dict[str, float]:
        rate = tokens / seconds if seconds > 0 else 0.0
        peak = self.peak
        shares = {} if peak is None else {name: rate * flops / peak for name, flops in self.flops_per_token.items()}
        return {"tokens_per_second": rate, **shares}

    def _slow(self, steps_left: int) -> dict[str, float]:
        means = {f"seconds/{part}": sum(parts[part] for parts in self._since) / len(self._since) for part in PARTS}
        self._since, self._reported = [], time.monotonic()
        left = {"seconds_left": steps_left * self._seconds / self._steps, "memory_bytes": _memory_bytes()}
        return means | self.goodput.figures(time.time()) | left


def _memory_bytes() -> float:
    """The peak of the GPU's memory, else what the process holds now."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return float(psutil.Process().memory_info().rss)
