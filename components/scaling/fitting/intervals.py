"""Estimates with the interval that a bootstrap states."""

from dataclasses import dataclass

import numpy as np

from components.scaling.fitting.robust import Array
from components.scaling.laws.prediction import LEVEL


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def estimate(value: float, draws: Array) -> Estimate:
    """The value with the interval between percentiles of its finite bootstrap draws (Efron's percentile interval)."""
    low, high = np.quantile(draws[np.isfinite(draws)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))
