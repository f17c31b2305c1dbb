"""What is called a spike of the loss."""

import math
import random

from components.training.spikes import MIN_STEPS, is_spike

NOISE = random.Random(0)
STEADY = [2 + NOISE.gauss(0, 0.1) for _ in range(200)]


def test_a_loss_far_above_the_last_ones_is_a_spike() -> None:
    assert is_spike(STEADY, 3.0, 8.0)
    assert not is_spike(STEADY, 2.3, 8.0)


def test_a_loss_far_below_is_none() -> None:
    assert not is_spike(STEADY, 0.0, 8.0)


def test_only_the_last_losses_count() -> None:
    assert is_spike([50.0] * 100 + STEADY, 3.0, 8.0)


def test_at_the_beginning_nothing_is_a_spike() -> None:
    assert not is_spike(STEADY[: MIN_STEPS - 1], 100.0, 8.0)


def test_without_a_threshold_and_for_what_is_not_finite_nothing_is() -> None:
    assert not is_spike(STEADY, 100.0, None)
    assert not is_spike(STEADY, math.inf, 8.0)


def test_a_batch_a_little_above_a_flat_course_is_none() -> None:
    assert not is_spike([2.0] * 100, 2.06, 8.0)
    assert is_spike([2.0] * 100, 2.1, 8.0)
