"""A reporter that forwards everything, for those that do something besides after a step."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.ports import TrainingReporter


@dataclass(frozen=True)
class ForwardingReporter:
    """Forwards to another reporter."""

    reporter: TrainingReporter

    @property
    def rank(self) -> int:
        """Of this worker."""
        return self.reporter.rank

    @property
    def world_size(self) -> int:
        """Workers."""
        return self.reporter.world_size

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Forward the report."""
        self.reporter.report(step, total_steps, values)

    def checkpoint_wanted(self) -> bool:
        """Forward the question."""
        return self.reporter.checkpoint_wanted()
