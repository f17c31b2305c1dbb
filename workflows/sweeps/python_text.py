"""The law of the text of this Python environment, which `smoke` and `laptop` train on, in less than half an hour on two cores."""

from dataclasses import replace

from components.checks.limits import PlanLimits
from components.pretraining.config import PretrainingConfig
from components.scaling.config import FitConfig
from components.scaling.laws.text_law import SCALE
from components.scaling.sweeps.family import Family
from components.scaling.sweeps.grid import Grid
from components.scaling.sweeps.ladder import Ladder, Rung
from components.training.config import CheckpointConfig, TrainingConfig
from workflows.recipes.smoke import MEGABYTE, SMALL_BATCH, small_vocabulary, smoke
from workflows.sweeps.sweep import Sweep

VOCABULARY = 1024
"""Of the grid: about the optimum at its budgets."""


def python_text() -> Sweep:
    """Three budgets in three vocabularies, a grid over batch and rate, and a training at eight times the largest budget.

    Its models have the depth, sequence length and batch of `smoke`, so that the largest training is about that of `smoke`.
    """
    base = smoke()
    family = Family(
        n_layer=4, vocab_size=VOCABULARY, sequence_length=192, aspect=40.0, head_width=64, init_std=0.04, warmup_steps=60
    )
    return Sweep(
        name="python-text",
        description="the law of this Python environment's text over model scale, vocabulary and tokens, up to 2e12 FLOPs",
        curation=base.curation,
        tokenizer=small_vocabulary(VOCABULARY, sample_bytes=12 * MEGABYTE),
        token_shards=base.token_shards,
        vocabularies=(512, 1024, 2048),
        ladder=Ladder(
            rungs=(
                Rung(compute=5e11, widths=(32, 48, 64, 96)),
                Rung(compute=1e12, widths=(48, 64, 96, 128)),
                Rung(compute=2e12, widths=(48, 64, 96, 128)),
            ),
            family=family,
            batch_size=5,
            # 1.7e-3 at a width of 128.
            learning_rate=3.4e-3,
        ),
        grid=Grid(
            budgets=(1.5e11, 3e11, 6e11),
            family=family,
            width=64,
            batch_sizes=(1, 2, 5),
            learning_rates=(7.5e-4, 1.5e-3, 3e-3),
        ),
        pretraining=PretrainingConfig(
            training=TrainingConfig(
                optimizer=SMALL_BATCH,
                precision="auto",
                micro_batch_tokens=1024,
                validation_steps=None,
                checkpoints=CheckpointConfig(seconds=60.0),
            ),
            max_validation_bytes=40_000,
        ),
        # The law's file holds a draw of each round for each vocabulary: 100 kB.
        fit=FitConfig(scale=SCALE, rounds=200),
        # Narrow models want rates far above those of any usual one.
        checks=replace(base.checks, plan=PlanLimits(max_learning_rate=0.05)),
    )
