"""The law of the text of this Python environment, which `smoke` and `laptop` train on, in less than half an hour on two cores."""

from dataclasses import replace

from components.checks.limits import PlanLimits
from components.pretraining.config import PretrainingConfig
from components.scaling.config import FitConfig
from components.scaling.laws.text_law import SCALE
from components.scaling.sweeps.family import Family
from components.scaling.sweeps.grid import Grid
from components.scaling.sweeps.ladder import Ladder, Rung
from components.tokenizer.config import TokenizerConfig
from components.training.config import CheckpointConfig, TrainingConfig
from workflows.recipes.smoke import MEGABYTE, smoke
from workflows.sweeps.sweep import Sweep

VOCABULARY = 1024
"""Of the grid: about the optimum at its budgets."""


def python_text() -> Sweep:
    """Three budgets in four vocabularies, a grid over batch and rate, and a training run at eight times the largest budget.

    Its models have the proportions and the batch of the models that a few minutes on two cores are enough for.
    """
    base = smoke()
    family = Family(n_layer=2, vocab_size=VOCABULARY, sequence_length=128, aspect=48.0, head_width=32)
    return Sweep(
        name="python-text",
        description="the law of this Python environment's text over model scale, vocabulary and tokens, up to 3e12 FLOPs",
        curation=base.curation,
        tokenizer=TokenizerConfig(
            regular_tokens=VOCABULARY - 15, vocab_multiple=64, sample_bytes=12 * MEGABYTE, max_measured_bytes=MEGABYTE
        ),
        token_shards=base.token_shards,
        vocabularies=(512, 1024, 2048, 4096),
        ladder=Ladder(
            rungs=(
                Rung(compute=7.5e11, widths=(32, 48, 64, 96)),
                Rung(compute=1.5e12, widths=(32, 48, 64, 96)),
                Rung(compute=3e12, widths=(48, 64, 96, 128)),
            ),
            family=family,
            batch_size=8,
            # 2.25e-3 at a width of 128, where 1.25 M tokens at 2e-3 ended with 7 % fewer bits per byte than at 5e-3.
            learning_rate=4.5e-3,
        ),
        grid=Grid(
            budgets=(1.5e11, 3e11, 6e11),
            family=family,
            width=48,
            batch_sizes=(4, 8, 16),
            learning_rates=(3e-3, 6e-3, 1.2e-2),
        ),
        pretraining=PretrainingConfig(
            training=TrainingConfig(
                precision="auto",
                micro_batch_tokens=1024,
                validation_steps=None,
                checkpoints=CheckpointConfig(seconds=60.0),
            ),
            max_validation_bytes=100_000,
        ),
        # The law's file holds a draw of each round for each vocabulary: 100 kB.
        fit=FitConfig(scale=SCALE, rounds=200),
        # Narrow models want rates far above those of any usual one.
        checks=replace(base.checks, plan=PlanLimits(max_learning_rate=0.05)),
    )
