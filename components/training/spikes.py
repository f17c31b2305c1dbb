"""A loss that leaves the course of those before it."""

import math
import statistics
from collections.abc import Sequence

WINDOW = 100
"""Steps that a loss is compared with."""

LEAST = 50
"""Steps before which nothing is called a spike: the loss falls fast there."""


def is_spike(before: Sequence[float], loss: float, deviations: float | None) -> bool:
    """Whether a finite `loss` is more than so many standard deviations above the mean of the last ones; None: never.

    Args:
        before: losses of the steps so far, the last `WINDOW` of which count.
        loss: of this step.
        deviations: how many.
    """
    recent = before[-WINDOW:]
    if deviations is None or len(recent) < LEAST or not math.isfinite(loss):
        return False
    return loss > statistics.fmean(recent) + deviations * statistics.pstdev(recent)
