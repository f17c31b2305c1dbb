"""Detects loss spikes: losses far above those of the previous steps."""

import math
import statistics
from collections.abc import Sequence

SPIKE, NOT_FINITE = "spike", "not_finite"
"""Names of the figures that are 1 at a step with a loss spike, and at a step with a non-finite loss or gradient."""

WINDOW = 100
"""Number of previous steps that a loss is compared with."""

MIN_STEPS = 50
"""Minimum number of previous steps for a spike; before that, the loss still falls fast."""

MIN_DEVIATION = 0.005
"""Minimum standard deviation, as a fraction of the mean. If losses vary less than that (large batches, memorised text, a
learning rate near zero), a batch of slightly harder text would be many standard deviations above the mean. With the default of
8 deviations, a spike is at least 4 % above the mean."""


def is_spike(previous: Sequence[float], loss: float, deviations: float | None) -> bool:
    """Whether a finite `loss` is more than `deviations` standard deviations above the mean of the previous losses.

    Args:
        previous: losses of the previous steps, of which the last `WINDOW` are used.
        loss: loss of this step.
        deviations: number of standard deviations; None: there are no spikes.
    """
    recent = previous[-WINDOW:]
    if deviations is None or len(recent) < MIN_STEPS or not math.isfinite(loss):
        return False
    mean = statistics.fmean(recent)
    return loss > mean + deviations * max(statistics.pstdev(recent), MIN_DEVIATION * mean)
