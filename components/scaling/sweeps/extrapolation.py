"""The plan of a training beyond a ladder, whose loss the ladder's law predicts."""

from pathlib import Path

from components.artifacts import Figures
from components.errors import FitRefused
from components.scaling.config import ScalingConfig
from components.scaling.laws.law import Law
from components.scaling.planning.plan import plan
from components.scaling.sweeps.ladder import Ladder


def plan_beyond(ladder: Ladder, *, law: Path, tokenizer: Path, token_shards: Path, output: Path) -> Figures:
    """Write the plan of the ladder's target by the law in the directory `law`; see `components.scaling.planning.plan.plan`.

    Raises:
        FitRefused: the law predicts no loss.
    """
    fitted = Law.read(law)
    if fitted.loss is None:
        raise FitRefused(f"the law {fitted.name} predicts nothing: its parametric fit was refused, and `fit.json` says why")
    compute, choices = ladder.extrapolated(fitted)
    return plan(
        ScalingConfig(compute=compute), choices=choices, tokenizer=tokenizer, token_shards=token_shards, output=output, law=fitted
    )
