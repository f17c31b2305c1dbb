"""Where figures and progress go while a component works."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Metrics(Protocol):
    """Receives figures keyed by step, and progress with rate and time left."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record `values` at `step`; a step that is logged again replaces what was there."""
        ...

    def measured(self, values: Mapping[str, float]) -> None:
        """Record what a clock or the machine says of the whole work: seconds, tokens/s, memory in bytes, utilisation.

        Such values are neither figures nor in content files: equal work gives equal ones of these, however fast it was.
        """
        ...

    def progress(self, done: float, total: float, unit: str) -> None:
        """Say how far the work is: `done` of `total` in `unit` (documents, tokens, steps)."""
        ...


class SilentMetrics:
    """Drops everything: for components used from a REPL."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Drop the values."""

    def measured(self, values: Mapping[str, float]) -> None:
        """Drop the values."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Drop the progress."""


@dataclass
class RecordedMetrics:
    """Keeps everything in memory."""

    values: dict[int, dict[str, float]] = field(default_factory=dict)
    measurements: dict[str, float] = field(default_factory=dict)
    seen: list[tuple[float, float, str]] = field(default_factory=list)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the values under their step."""
        self.values.setdefault(step, {}).update(values)

    def measured(self, values: Mapping[str, float]) -> None:
        """Keep the values."""
        self.measurements |= values

    def progress(self, done: float, total: float, unit: str) -> None:
        """Keep the report."""
        self.seen.append((done, total, unit))
