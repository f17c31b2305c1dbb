"""The laws of batch and learning rate for the text of this Python environment, in minutes, on two cores."""

from dataclasses import replace

from components.scaling.sweeps.family import Family
from components.scaling.sweeps.grid import Grid
from workflows.sweeps.smoke_ladder import smoke_ladder
from workflows.sweeps.sweep import Sweep


def smoke_grid() -> Sweep:
    """Three budgets, four batches and five rates on the model that is about optimal for the budget in the middle."""
    return replace(
        smoke_ladder(),
        name="smoke-grid",
        description="laws of batch and learning rate from four batches and five rates at three budgets, 1e11 to 4e11 FLOPs",
        ladder=None,
        grid=Grid(
            budgets=(1e11, 2e11, 4e11),
            family=Family(n_layer=2, vocab_size=512, sequence_length=128),
            width=28,
            batch_sizes=(4, 8, 16, 32),
            learning_rates=(3e-3, 6e-3, 1.2e-2, 2.4e-2, 4.8e-2),
        ),
    )
