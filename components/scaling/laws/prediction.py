"""The loss that a fitted law predicts, with its interval."""

from collections.abc import Sequence
from math import exp

from components.scaling.laws.law import LossLaw

LEVEL = 0.95
"""Of every interval."""


def predict(loss: LossLaw, scale: float, tokens: float) -> dict[str, float]:
    """Expected loss of one run of model scale S on D tokens, and the interval that such a run lies in.

    Each bootstrap draw gives a loss, times the residual of a run drawn at random: the interval covers what the fit does not
    know and how much single runs scatter. It holds as far as the law does.
    """
    (expected,) = _losses([(loss.E, loss.A, loss.B, loss.alpha, loss.beta, 0.0)], scale, tokens)
    drawn = _losses(loss.draws, scale, tokens) or [expected]
    return {"loss": expected, "low": quantile(drawn, (1 - LEVEL) / 2), "high": quantile(drawn, (1 + LEVEL) / 2)}


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile of a sample, with linear interpolation between neighbours (R's type 7, as numpy's default)."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _losses(draws: Sequence[tuple[float, ...]], scale: float, tokens: float) -> list[float]:
    return [(e + a / scale**alpha + b / tokens**beta) * exp(residual) for e, a, b, alpha, beta, residual in draws]
