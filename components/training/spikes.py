"""A loss that leaves the course of those before it."""

import math
import statistics
from collections.abc import Sequence

WINDOW = 100
"""Steps that a loss is compared with."""

LEAST = 50
"""Steps before which nothing is called a spike: the loss falls fast there."""

LEAST_DEVIATION = 0.005
"""Share of the mean that a standard deviation counts for at least. Where losses lie closer together than that (large batches,
text that is learned by heart, a rate near zero), any batch of slightly harder text is many deviations off. With the default of
8, a spike is at least 4 % above the mean."""


def is_spike(before: Sequence[float], loss: float, deviations: float | None) -> bool:
    """Whether a finite `loss` is more than so many standard deviations above the mean of the last ones; None: never.

    Args:
        before: losses of the steps so far, the last `WINDOW` of which count.
        loss: of this step.
        deviations: how many; each is `LEAST_DEVIATION` of the mean or more.
    """
    recent = before[-WINDOW:]
    if deviations is None or len(recent) < LEAST or not math.isfinite(loss):
        return False
    mean = statistics.fmean(recent)
    return loss > mean + deviations * max(statistics.pstdev(recent), LEAST_DEVIATION * mean)
