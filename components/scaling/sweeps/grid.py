"""A grid over batch size and learning rate at several budgets (DeepSeek LLM, arXiv 2401.02954, section 3.1). Pure arithmetic."""

from dataclasses import dataclass

from components.artifacts import Point
from components.errors import require
from components.scaling.sweeps.family import Family


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Every batch with every rate at every budget, on one model, so that training runs of a batch and a rate share a trunk.

    The paper reused the first stage of its training runs for all budgets in the same way.
    """

    budgets: tuple[float, ...]
    """Rising, in FLOPs; a law needs three."""
    family: Family
    """The family of its model."""
    width: int
    """d_model of the model; about the optimum of the budget in the middle."""
    batch_sizes: tuple[int, ...]
    """Rising, in sequences."""
    learning_rates: tuple[float, ...]
    """Rising maximum learning rates."""

    def __post_init__(self) -> None:
        for name, count in (("budgets", 3), ("batch_sizes", 2), ("learning_rates", 2)):
            values = getattr(self, name)
            sound = len(values) >= count and list(values) == sorted(set(values)) and values[0] > 0
            require(sound, self, name, values, f"{count} or more rising positive numbers")
        self.family.steps(self.budgets[0], self.width, self.batch_sizes[-1])

    def points(self) -> tuple[Point, ...]:
        """Every training run of the grid."""
        return tuple(
            Point(
                budget=compute,
                plan=self.family.plan(compute, self.width, batch_size=batch_size, learning_rate=learning_rate),
                seed=0,
            )
            for compute in self.budgets
            for batch_size in self.batch_sizes
            for learning_rate in self.learning_rates
        )
