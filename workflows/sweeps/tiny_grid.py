"""A grid of training runs that take a second each: for tests, and for trying out a change."""

from dataclasses import replace

from components.scaling.sweeps.family import Family
from components.scaling.sweeps.grid import Grid
from workflows.sweeps.sweep import Sweep
from workflows.sweeps.tiny_ladder import tiny_ladder


def tiny_grid() -> Sweep:
    """Three budgets, two batches and two rates."""
    return replace(
        tiny_ladder(),
        name="tiny-grid",
        description="two batches and two learning rates at three budgets, for tests: laws that are worth nothing",
        ladder=None,
        grid=Grid(
            budgets=(2e9, 4e9, 8e9),
            family=Family(n_layer=1, vocab_size=512, sequence_length=64, warmup_steps=10),
            width=16,
            batch_sizes=(4, 8),
            learning_rates=(1e-2, 3e-2),
        ),
    )
