"""A law for the text of this Python environment, and a training that it must predict, in minutes, on two cores."""

from dataclasses import replace

from components.checks.limits import PlanLimits
from components.pretraining.config import PretrainingConfig
from components.scaling.sweeps.family import Family
from components.scaling.sweeps.ladder import Ladder, Rung
from components.tokenizer.config import TokenizerConfig
from components.training.config import CheckpointConfig, TrainingConfig
from workflows.recipes.smoke import MEGABYTE, smoke
from workflows.sweeps.sweep import Sweep


def smoke_ladder() -> Sweep:
    """Four budgets of seven models each, two seeds at the smallest; the predicted training has eight times the largest budget."""
    base = smoke()
    return Sweep(
        name="smoke-ladder",
        description="four budgets from 3e11 to 2.4e12 FLOPs, their law, and a training at 1.9e13 that it must predict",
        curation=base.curation,
        # A small vocabulary, so that the models are not all embedding.
        tokenizer=TokenizerConfig(regular_tokens=497, vocab_multiple=64, sample_bytes=4 * MEGABYTE, max_measured_bytes=MEGABYTE),
        token_shards=base.token_shards,
        ladder=Ladder(
            rungs=(
                Rung(compute=3e11, widths=(16, 20, 24, 32, 40, 48, 64), seeds=2),
                Rung(compute=6e11, widths=(20, 24, 32, 40, 48, 64, 80)),
                Rung(compute=1.2e12, widths=(24, 32, 40, 48, 64, 80, 96)),
                Rung(compute=2.4e12, widths=(32, 40, 48, 64, 80, 96, 128)),
            ),
            family=Family(n_layer=2, vocab_size=512, sequence_length=128),
            batch_size=16,
            # Best of 3e-3 to 2.4e-2 at widths of 16, 32 and 64, to within a factor of two.
            learning_rate=6.25e-3,
        ),
        pretraining=PretrainingConfig(
            training=TrainingConfig(
                precision="auto",
                micro_batch_tokens=2048,
                validation_steps=None,
                checkpoints=CheckpointConfig(seconds=60.0),
            ),
            max_validation_bytes=40_000,
        ),
        # Narrow models want rates far above those of any usual one.
        checks=replace(base.checks, plan=PlanLimits(max_learning_rate=0.05)),
    )
