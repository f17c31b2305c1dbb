"""Measures a training run: speed, utilisation, time by phase, and goodput (the fraction of useful time)."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psutil
import torch

from components.files import JSON
from components.training.device import peak_flops

PHASES = ("data", "forward", "backward", "step", "checkpoint", "validation")
"""Phases of a step: making the batch; forward pass; backward pass; optimizer step with communication; waiting for the copy of a
checkpoint; validation."""

NOT_USEFUL = ("data", "checkpoint", "validation")
"""Phases that do not count as useful time in goodput."""

WATCH_SECONDS = 10.0
"""Seconds between two reports of values that change slowly."""


class Stopwatch:
    """Measures seconds by phase. On a GPU it uses CUDA events, which do not block until they are read."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the block to that phase."""
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
        """Seconds of each phase since the last call."""
        for name, start, end in self._events:
            end.synchronize()
            self._seconds[name] += start.elapsed_time(end) / 1000
        seconds, self._seconds, self._events = self._seconds, dict.fromkeys(PHASES, 0.0), []
        return seconds


@dataclass
class Goodput:
    """Goodput: useful time divided by all time since the first attempt started. Stored in checkpoints, so it survives restarts.

    The time of steps that were lost with a worker, of the pause after it and of restarting is in no checkpoint. It is the time
    that remains when all other causes are subtracted, and is called "restarts".
    """

    started: float = field(default_factory=time.time)
    """Unix time at which the first attempt started."""
    useful: float = 0.0
    """Seconds spent on forward and backward passes and updates."""
    lost: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NOT_USEFUL, 0.0))
    """Seconds spent on other phases, by phase."""

    def add(self, seconds: float, by_phase: Mapping[str, float]) -> None:
        """Add a step that took `seconds`, and `by_phase` seconds in each phase."""
        for cause in NOT_USEFUL:
            self.lost[cause] += by_phase[cause]
        self.useful += seconds - sum(by_phase[cause] for cause in NOT_USEFUL)

    def as_json(self) -> dict[str, JSON]:
        """The values as JSON, for a checkpoint."""
        return {"started": self.started, "useful": self.useful, "lost": dict(self.lost)}

    def figures(self, now: float) -> dict[str, float]:
        """The figures goodput and lost/CAUSE, as fractions of the time from `started` to `now` (Unix time)."""
        elapsed = max(now - self.started, 1e-9)
        restarts = max(0.0, elapsed - self.useful - sum(self.lost.values()))
        causes = {**self.lost, "restarts": restarts}
        return {"goodput": self.useful / elapsed} | {f"lost/{cause}": seconds / elapsed for cause, seconds in causes.items()}


@dataclass
class Meter:
    """Computes speed, utilisation and other figures from the tokens and seconds of steps."""

    flops_per_token: Mapping[str, float]
    """FLOPs per token of the forward and backward pass, by the name under which the utilisation is reported."""
    peak: float | None
    """Total peak FLOP/s of all workers' devices; None if it is unknown."""
    stopwatch: Stopwatch
    goodput: Goodput = field(default_factory=Goodput)
    _steps: int = 0
    _seconds: float = 0.0
    _tokens: float = 0.0
    _learning_seconds: float = 0.0
    """Seconds of all steps without validation."""
    _unreported: list[dict[str, float]] = field(default_factory=list)
    _reported: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, device: torch.device, precision: str, flops_per_token: Mapping[str, float], workers: int) -> "Meter":
        """A meter for `workers` devices of the same kind."""
        peak = peak_flops(device, precision)
        return cls(flops_per_token, None if peak is None else peak * workers, Stopwatch(device))

    def figures(self, tokens: float, seconds: float, remaining_steps: int) -> dict[str, float]:
        """Add a step and return its figures.

        Always: tokens_per_second over all workers, and the utilisations (PaLM, arXiv 2204.02311, appendix B) if the peak is
        known. Every `WATCH_SECONDS` and after the last step also: seconds/PHASE (mean per step), goodput, lost/CAUSE,
        seconds_left and memory_bytes.
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
        """Figures over all steps that were added; empty if there are none.

        tokens_per_second and utilisations, training_seconds, memory_bytes, and goodput and lost/CAUSE since the first attempt.
        """
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
    """Peak GPU memory in bytes; without a GPU, the current resident memory of the process."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return float(psutil.Process().memory_info().rss)
