"""Measurements of a training: speed, utilisation, where each step's time goes, and how much of all time was useful."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psutil
import torch

from components.files import JSON
from components.training.device import peak_flops

PHASES = ("data", "forward", "backward", "step", "checkpoint", "validation")
"""Of a step: making the batch; the two passes; the optimizer's step with its communication; waiting for a checkpoint's copy;
measuring the model."""

NOT_USEFUL = ("data", "checkpoint", "validation")

WATCH_SECONDS = 10.0
"""Between two reports of figures that change slowly."""


class Stopwatch:
    """Seconds by phase; on a GPU between events in its queue, so that nothing waits until they are read."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the block as that phase."""
        if self._gpu:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            end.record()
            self._events.append((name, start, end))
            return
        started = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - started

    def read(self) -> dict[str, float]:
        """Seconds of each phase since the last reading."""
        for name, start, end in self._events:
            end.synchronize()
            self._seconds[name] += start.elapsed_time(end) / 1000
        seconds, self._seconds, self._events = self._seconds, dict.fromkeys(PHASES, 0.0), []
        return seconds


@dataclass
class Goodput:
    """Useful time over all time since the first attempt started; checkpoints keep it, and the next attempt resumes it.

    Steps that were lost with a worker, the pause after it and starting again are in no checkpoint: that time is the remainder,
    "restarts".
    """

    started: float = field(default_factory=time.time)
    """Unix time."""
    useful: float = 0.0
    """Seconds of forward and backward passes and updates."""
    lost: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NOT_USEFUL, 0.0))
    """Seconds by cause."""

    def add(self, seconds: float, by_phase: Mapping[str, float]) -> None:
        """Count a step: its seconds in all, and by phase."""
        for cause in NOT_USEFUL:
            self.lost[cause] += by_phase[cause]
        self.useful += seconds - sum(by_phase[cause] for cause in NOT_USEFUL)

    def as_json(self) -> dict[str, JSON]:
        """For a checkpoint."""
        return {"started": self.started, "useful": self.useful, "lost": dict(self.lost)}

    def figures(self, now: float) -> dict[str, float]:
        """goodput, and the time lost by cause; shares of all time."""
        elapsed = max(now - self.started, 1e-9)
        restarts = max(0.0, elapsed - self.useful - sum(self.lost.values()))
        causes = {**self.lost, "restarts": restarts}
        return {"goodput": self.useful / elapsed} | {f"lost/{cause}": seconds / elapsed for cause, seconds in causes.items()}


@dataclass
class Meter:
    """Turns the tokens and seconds of steps into figures."""

    flops_per_token: Mapping[str, float]
    """FLOPs of forward and backward for one token, by the name of the utilisation to report."""
    peak: float | None
    """FLOP/s of all workers' devices together; None where not known."""
    stopwatch: Stopwatch
    goodput: Goodput = field(default_factory=Goodput)
    _steps: int = 0
    _seconds: float = 0.0
    _tokens: float = 0.0
    _learning_seconds: float = 0.0
    """Without measuring the model."""
    _unreported: list[dict[str, float]] = field(default_factory=list)
    _reported: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, device: torch.device, precision: str, flops_per_token: Mapping[str, float], workers: int) -> "Meter":
        """The meter of `workers` devices of one kind."""
        peak = peak_flops(device, precision)
        return cls(flops_per_token, None if peak is None else peak * workers, Stopwatch(device))

    def figures(self, tokens: float, seconds: float, remaining_steps: int) -> dict[str, float]:
        """Count a step: its speed, and from time to time what changes slowly.

        tokens_per_second of all workers and the utilisations (PaLM, arXiv 2204.02311, appendix B) where the peak is known;
        then seconds/PHASE on average, goodput and lost/CAUSE, seconds_left, memory_bytes.
        """
        by_phase = self.stopwatch.read()
        self.goodput.add(seconds, by_phase)
        self._steps, self._seconds = self._steps + 1, self._seconds + seconds
        self._tokens += tokens
        self._learning_seconds += seconds - by_phase["validation"]
        self._unreported.append(by_phase)
        speed = self._speed(tokens, seconds - by_phase["validation"])
        if remaining_steps and time.monotonic() - self._reported < WATCH_SECONDS:
            return speed
        return speed | self._slow(remaining_steps)

    def summary(self) -> dict[str, float]:
        """Of all steps that were counted: tokens_per_second and utilisations, training_seconds, goodput and lost/CAUSE of all
        time so far, memory_bytes; empty where none was."""
        if not self._steps:
            return {}
        speed = self._speed(self._tokens, self._learning_seconds)
        return speed | {"training_seconds": self._seconds, "memory_bytes": _memory_bytes()} | self.goodput.figures(time.time())

    def _speed(self, tokens: float, seconds: float) -> dict[str, float]:
        rate = tokens / seconds if seconds > 0 else 0.0
        peak = self.peak
        shares = {} if peak is None else {name: rate * flops / peak for name, flops in self.flops_per_token.items()}
        return {"tokens_per_second": rate, **shares}

    def _slow(self, remaining_steps: int) -> dict[str, float]:
        steps = len(self._unreported)
        means = {f"seconds/{phase}": sum(step[phase] for step in self._unreported) / steps for phase in PHASES}
        self._unreported, self._reported = [], time.monotonic()
        remaining = {"seconds_left": remaining_steps * self._seconds / self._steps, "memory_bytes": _memory_bytes()}
        return means | self.goodput.figures(time.time()) | remaining


def _memory_bytes() -> float:
    """The peak of the GPU's memory, else what the process holds now."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return float(psutil.Process().memory_info().rss)
