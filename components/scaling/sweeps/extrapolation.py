"""The plan of a training beyond a ladder, whose loss the ladder's law predicts."""

from pathlib import Path
from typing import Any

from components.errors import FitRefused
from components.scaling.config import ScalingConfig
from components.scaling.laws.files import LAW, read_law
from components.scaling.planning.plan import plan
from components.scaling.sweeps.ladder import Ladder


def plan_beyond(ladder: Ladder, *, law: Path, tokenizer: Path, token_shards: Path, output: Path) -> dict[str, Any]:
    """Write the plan of the ladder's target by the law in the directory `law`; see `components.scaling.planning.plan.plan`.

    Raises:
        FitRefused: the law predicts no loss.
    """
    fitted = read_law(law / LAW)
    if fitted.loss is None:
        raise FitRefused(f"the law {fitted.name} predicts nothing: its parametric fit was refused, and `fit.json` says why")
    compute, choices = ladder.extrapolated(fitted)
    return plan(
        ScalingConfig(compute=compute), choices=choices, tokenizer=tokenizer, token_shards=token_shards, output=output, law=fitted
    )
