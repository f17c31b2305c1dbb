"""The loss that a fitted law predicts, with its interval."""

from collections.abc import Sequence
from math import exp

from components.artifacts import Prediction
from components.scaling.laws.law import LossLaw

LEVEL = 0.95
"""Confidence level of every interval."""


def predict(loss: LossLaw, scale: float, tokens: float) -> Prediction:
    """Expected loss of a run of model scale S on D tokens, with its prediction interval.

    Each bootstrap draw gives a loss, which is multiplied by the residual of a run drawn at random: the interval covers both the
    uncertainty of the fit and the scatter of single runs. It holds as far as the law does.
    """
    expected = loss.at(scale, tokens)
    drawn = _losses(loss.draws, scale, tokens) or [expected]
    return Prediction(loss=expected, low=quantile(drawn, (1 - LEVEL) / 2), high=quantile(drawn, (1 + LEVEL) / 2))


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile of a sample, with linear interpolation between neighbours (R's type 7, as numpy's default)."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = min(int(position), len(ordered) - 2) if len(ordered) > 1 else 0
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _losses(draws: Sequence[tuple[float, ...]], scale: float, tokens: float) -> list[float]:
    return [(e + a / scale**alpha + b / tokens**beta) * exp(residual) for e, a, b, alpha, beta, residual in draws]
