"""Grids: every batch with every rate, and what makes no sense."""

from dataclasses import replace

import pytest

from components.errors import ConfigError
from components.scaling.sweeps.family import Family
from components.scaling.sweeps.grid import Grid

GRID = Grid(
    budgets=(2e10, 4e10, 8e10),
    family=Family(n_layer=2, vocab_size=512, sequence_length=64),
    width=24,
    batch_sizes=(8, 16),
    learning_rates=(4e-3, 8e-3, 1.6e-2),
)


def test_every_batch_is_trained_with_every_rate_at_every_budget() -> None:
    points = [(point.budget, point.plan.batch_size, point.plan.learning_rate) for point in GRID.points()]
    assert len(points) == len(set(points)) == 18


def test_trainings_of_a_batch_and_a_rate_differ_in_their_steps_alone() -> None:
    plans = [p.plan for p in GRID.points() if (p.plan.batch_size, p.plan.learning_rate) == (8, 4e-3)]
    assert len({(replace(plan, steps=1, tokens=1, compute=1.0, law={})).shape for plan in plans}) == 1
    assert len({plan.steps for plan in plans}) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budgets": (1e10, 2e10)}, "3 or more rising"),
        ({"batch_sizes": (16, 8)}, "2 or more rising"),
        ({"learning_rates": (0.0, 1e-3)}, "2 or more rising positive"),
        ({"batch_sizes": (8, 512)}, "at least 50"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(GRID, **change)  # type: ignore[arg-type]
