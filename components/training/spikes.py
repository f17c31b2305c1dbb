"""Spikes: losses far above those of the steps before."""

import math
import statistics
from collections.abc import Sequence

WINDOW = 100
"""Steps that a loss is compared with."""

MIN_STEPS = 50
"""Steps before which nothing is called a spike: the loss falls fast there."""

MIN_DEVIATION = 0.005
"""Share of the mean that a standard deviation counts as at least. Where losses lie closer together than that (large batches,
text that is memorised, a rate near zero), any batch of slightly harder text is many deviations off. With the default of
8, a spike is at least 4 % above the mean."""


def is_spike(previous: Sequence[float], loss: float, deviations: float | None) -> bool:
    """Whether a finite `loss` is more than `deviations` standard deviations above the mean of recent ones; None: never.

    Args:
        previous: losses of the steps so far, the last `WINDOW` of which count.
        loss: of this step.
        deviations: how many; each is at least `MIN_DEVIATION` of the mean.
    """
    recent = previous[-WINDOW:]
    if deviations is None or len(recent) < MIN_STEPS or not math.isfinite(loss):
        return False
    mean = statistics.fmean(recent)
    return loss > mean + deviations * max(statistics.pstdev(recent), MIN_DEVIATION * mean)
