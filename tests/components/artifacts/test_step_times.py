"""Step sizes and times as values."""

from typing import Any

import pytest

from components.artifacts import ModelShape
from components.artifacts.step_times import StepSize, StepTime
from components.errors import ConfigError

SHAPE = ModelShape(n_layer=2, d_model=64, n_head=2, n_kv_head=2, d_ffn=192, vocab_size=512, context=128)
SIZE = StepSize(shape=SHAPE, sequence_length=128, batch_size=10, micro_batch_size=4)


def test_a_step_has_the_tokens_of_its_batch_and_a_pass_for_each_micro_batch_begun() -> None:
    assert SIZE.tokens == 1280
    assert SIZE.passes == 3


def test_a_step_measured_twice_takes_the_shorter_time_and_shows_by_how_much_they_differ() -> None:
    time = StepTime(size=SIZE, medians=(0.3, 0.2))
    assert time.seconds == 0.2
    assert time.spread == pytest.approx(0.5)
    assert StepTime(size=SIZE, medians=(0.3,)).spread == 0


@pytest.mark.parametrize("change", [{"sequence_length": 0}, {"batch_size": 0}, {"micro_batch_size": -1}])
def test_a_size_of_nothing_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="allowed: a positive integer"):
        StepSize(**{"shape": SHAPE, "sequence_length": 128, "batch_size": 10, "micro_batch_size": 4} | change)


@pytest.mark.parametrize("medians", [(), (0.0,), (0.1, -1.0)])
def test_a_time_that_was_not_measured_is_refused(medians: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"StepTime\.medians is .*; allowed: one or more positive numbers"):
        StepTime(size=SIZE, medians=medians)
