"""A ladder of training runs that take a second each: for tests, and for trying out a change."""

from dataclasses import replace

from components.scaling.sweeps.family import Family
from components.scaling.sweeps.ladder import Ladder, Rung
from components.training.config import OptimizerConfig
from workflows.recipes.tiny import KILOBYTE, tiny
from workflows.sweeps.python_text import python_text
from workflows.sweeps.sweep import Sweep


def tiny_ladder() -> Sweep:
    """Three budgets of four models each on the text of `tiny`: its law is worth nothing, but it is one."""
    base, text = tiny(), python_text()
    return replace(
        text,
        name="tiny-ladder",
        description="three budgets of training runs that take a second each, for tests: a law that is worth nothing",
        curation=base.curation,
        tokenizer=base.tokenizer,
        token_shards=base.token_shards,
        ladder=Ladder(
            rungs=(
                Rung(compute=3e9, widths=(12, 16, 24, 32), seeds=2),
                Rung(compute=6e9, widths=(12, 16, 24, 32)),
                Rung(compute=1.2e10, widths=(16, 24, 32, 48)),
            ),
            family=Family(n_layer=1, vocab_size=512, sequence_length=64, warmup_steps=10),
            batch_size=8,
            learning_rate=6.25e-3,
            target=2.0,
        ),
        grid=None,
        vocabularies=(),
        pretraining=replace(
            text.pretraining,
            training=replace(text.pretraining.training, micro_batch_tokens=512, optimizer=OptimizerConfig()),
            max_validation_bytes=5 * KILOBYTE,
        ),
        checks=replace(base.checks, plan=text.checks.plan),
    )
