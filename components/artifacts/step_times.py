"""How long the steps of a training run take on a machine: what is measured, as values. Standard library only."""

from dataclasses import dataclass

from components.artifacts.shape import ModelShape
from components.errors import require


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSize:
    """What decides how long an optimizer step takes on a machine."""

    shape: ModelShape
    sequence_length: int
    """Tokens in a sequence."""
    batch_size: int
    """Sequences in a step."""
    micro_batch_size: int
    """Sequences in one forward and backward pass."""

    def __post_init__(self) -> None:
        for name in ("sequence_length", "batch_size", "micro_batch_size"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")

    @property
    def tokens(self) -> int:
        """Tokens in a step."""
        return self.batch_size * self.sequence_length

    @property
    def passes(self) -> int:
        """Forward and backward passes in a step."""
        return -(-self.batch_size // self.micro_batch_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    """The time of a step of one size, measured once or several times."""

    size: StepSize
    medians: tuple[float, ...]
    """Seconds of a step: the median of each measurement."""

    def __post_init__(self) -> None:
        positive = bool(self.medians) and min(self.medians) > 0
        require(positive, self, "medians", self.medians, "one or more positive numbers")

    @property
    def seconds(self) -> float:
        """The shortest median: whatever else the machine does only makes steps longer."""
        return min(self.medians)

    @property
    def spread(self) -> float:
        """How much longer the longest median is than the shortest; 0 for a single one."""
        return max(self.medians) / min(self.medians) - 1
