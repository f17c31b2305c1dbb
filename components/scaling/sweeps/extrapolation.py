"""The plan of a training run beyond a ladder, whose loss the ladder's law predicts."""

from dataclasses import replace
from pathlib import Path

from components.artifacts import Figures
from components.errors import FitRefused
from components.scaling.config import ScalingConfig
from components.scaling.laws.law import Law
from components.scaling.laws.text_law import TextLaw
from components.scaling.planning.plan import plan
from components.scaling.sweeps.ladder import Ladder


def plan_beyond(ladder: Ladder, *, law: Path, tokenizer: Path, token_shards: Path, output: Path) -> Figures:
    """Write the plan of the ladder's target by the law in the directory `law`; see `components.scaling.planning.plan.plan`.

    Of the law of a text, it takes that of the ladder's vocabulary.

    Raises:
        ConfigError: the law of a text was not fitted for the ladder's vocabulary.
        FitRefused: the law predicts no loss.
    """
    fitted = _law(law, ladder.family.vocab_size)
    if fitted.loss is None:
        raise FitRefused(f"the law {fitted.name} predicts nothing: its parametric fit was refused, and `fit.json` says why")
    compute, choices = ladder.extrapolated(fitted)
    return plan(
        ScalingConfig(compute=compute), choices=choices, tokenizer=tokenizer, token_shards=token_shards, output=output, law=fitted
    )


def _law(directory: Path, vocab_size: int) -> Law:
    if not (directory / TextLaw.NAME).is_file():
        return Law.read(directory)
    text = TextLaw.read(directory)
    law = text.vocabulary(vocab_size).law
    return replace(law, batch_tokens=text.batch_tokens, learning_rate=text.learning_rate)
