"""What carries reports and results from training workers to the driver: an actor whose process imports next to nothing."""

from dataclasses import dataclass, field
from typing import Any

import ray

from components.errors import LongrunError

Report = tuple[int, int, dict[str, float]]
"""Step, steps in total, figures."""


@dataclass
class Outcome:
    """What a launch left behind."""

    results: dict[int, Any] = field(default_factory=dict)
    """By rank."""
    error: LongrunError | None = None
    entered: float | None = None
    """Unix time at which the first worker entered the work."""
    left: float | None = None
    """Unix time at which the last worker left it."""


class Mailbox:
    """Takes what workers post, and gives it to the driver."""

    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._outcome = Outcome()

    def enter(self, now: float) -> bool:
        """A worker is about to work; False if it shall not, because the work has failed for good."""
        self._outcome.entered = self._outcome.entered or now
        return self._outcome.error is None

    def report(self, step: int, total_steps: int, values: dict[str, float]) -> None:
        """A step is done."""
        self._reports.append((step, total_steps, values))

    def leave(self, rank: int, result: Any, now: float) -> None:
        """A worker is done."""
        self._outcome.results[rank], self._outcome.left = result, now

    def fail(self, error: LongrunError, now: float) -> None:
        """A worker refuses to go on; the first reason stays."""
        self._outcome.error, self._outcome.left = self._outcome.error or error, now

    def take_reports(self) -> list[Report]:
        """The reports since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def outcome(self) -> Outcome:
        """Results and times so far."""
        return self._outcome


def mailbox_actor() -> Any:
    """A new mailbox as an actor; it ends when its last handle is gone."""
    return ray.remote(num_cpus=0)(Mailbox).remote()
