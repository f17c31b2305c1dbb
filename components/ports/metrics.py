"""Receives the metrics and the progress of a component while it works."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Metrics(Protocol):
    """Receives metrics by step, measurements of the whole work, and progress."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record `values` at `step`; values logged again for the same step and name replace the earlier ones."""
        ...

    def measured(self, values: Mapping[str, float]) -> None:
        """Record measurements of the whole work: seconds, tokens/s, memory in bytes, utilisation.

        They must not be returned as figures or written to content files: these must be equal for equal work, however fast it was.
        """
        ...

    def progress(self, done: float, total: float, unit: str) -> None:
        """Report that `done` of `total` is finished, counted in `unit` (documents, tokens, steps)."""
        ...


class SilentMetrics:
    """Ignores everything; for use in a REPL."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Ignore the values."""

    def measured(self, values: Mapping[str, float]) -> None:
        """Ignore the values."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Ignore the progress."""


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
