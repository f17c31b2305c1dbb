"""The best training for a time: what is chosen, what limits it, and what more time brings."""

import dataclasses
from typing import Any

import pytest

from components.errors import ConfigError
from components.flops import non_embedding_flops_per_token
from components.scaling.laws.text_law import TextLaw
from components.scaling.planning.timed import Limits, NominalSpeed, timed
from tests.components.scaling.text_truth import LAW

SPEED = NominalSpeed(flops_per_second=4e10)
FREE = Limits(seconds=600, max_extrapolation=None)


def only(vocab_size: int) -> TextLaw:
    return dataclasses.replace(LAW, vocabularies=(LAW.vocabulary(vocab_size),))


def test_the_plan_uses_the_time_and_says_what_the_law_predicts_of_it() -> None:
    plan = timed(LAW, SPEED, FREE)
    assert plan.seconds == pytest.approx(600, rel=0.01)
    assert plan.tokens == plan.steps * plan.batch_size * plan.sequence_length
    assert plan.bits_per_byte == LAW.predict(plan.shape, plan.tokens)
    assert plan.bits_per_byte.low < plan.bits_per_byte.loss < plan.bits_per_byte.high
    assert plan.seen_bytes == plan.tokens * LAW.vocabulary(plan.shape.vocab_size).bytes_per_token


def test_no_other_shape_or_vocabulary_of_the_laws_proportions_ends_better() -> None:
    plan = timed(LAW, SPEED, FREE)
    best = plan.bits_per_byte.loss
    assert all(timed(only(size), SPEED, FREE).bits_per_byte.loss >= best for size in (512, 1024))
    for scale in (0.5, 2.0):
        scaled = non_embedding_flops_per_token(plan.shape, 256) * scale
        assert LAW.vocabulary(plan.shape.vocab_size).predict(scaled, plan.tokens / scale).loss > best
    assert LAW.aspect[0] <= plan.shape.d_model / plan.shape.n_layer <= LAW.aspect[1]


def test_batch_and_rate_are_the_laws_for_the_flops_of_the_training() -> None:
    plan = timed(LAW, SPEED, FREE)
    compute = non_embedding_flops_per_token(plan.shape, 256) * plan.tokens
    assert LAW.batch_tokens is not None
    assert LAW.learning_rate is not None
    assert plan.batch_size * 256 == pytest.approx(LAW.batch_tokens.at(compute), rel=0.2)
    assert plan.batch_size % 4 == 0
    assert plan.learning_rate == pytest.approx(LAW.learning_rate.at(compute))
    assert plan.warmup_steps == int(0.05 * plan.steps)


def test_a_law_without_batch_and_rate_borrows_them_with_a_note() -> None:
    plan = timed(dataclasses.replace(LAW, batch_tokens=None, learning_rate=None), SPEED, FREE)
    assert any("has no batch size and no learning rate; DeepSeek LLM's is used" in note for note in plan.notes)


def test_more_time_gives_a_better_end_and_time_is_what_limits() -> None:
    plan, later = timed(LAW, SPEED, FREE), timed(LAW, SPEED, dataclasses.replace(FREE, seconds=660))
    assert list(plan.limits) == ["time"]
    assert plan.limits["time"] == pytest.approx(plan.bits_per_byte.loss - later.bits_per_byte.loss)
    assert plan.limits["time"] > 0


def test_a_short_text_limits_and_is_seen_no_more_often_than_allowed() -> None:
    plan = timed(LAW, SPEED, dataclasses.replace(FREE, text_bytes=1e6))
    assert plan.epochs is not None
    assert 3.5 < plan.epochs <= 4
    assert plan.limits["text"] > 0.01
    assert plan.seconds == pytest.approx(600, rel=0.5)


def test_a_text_that_suffices_does_not_limit() -> None:
    plan = timed(LAW, SPEED, dataclasses.replace(FREE, text_bytes=1e9))
    assert "text" not in plan.limits
    assert plan.epochs is not None
    assert plan.epochs < 1


def test_little_memory_limits_the_model() -> None:
    free = timed(LAW, SPEED, FREE)
    plan = timed(LAW, SPEED, dataclasses.replace(FREE, memory_bytes=0.3 * free.memory_bytes))
    assert plan.memory_bytes <= 0.3 * free.memory_bytes
    assert plan.limits["memory"] > 0


def test_a_model_far_beyond_the_fitted_ones_is_not_chosen_and_the_range_is_said_to_limit() -> None:
    plan = timed(LAW, NominalSpeed(flops_per_second=1e13), dataclasses.replace(FREE, max_extrapolation=4.0))
    assert non_embedding_flops_per_token(plan.shape, 256) <= 4e6
    assert plan.limits["range"] > 0
    assert any("times above the largest that the law was fitted on: it extrapolates" in note for note in plan.notes)


def test_a_time_too_short_for_a_training_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no training of 100 steps fits in 0 s, 4 epochs of 1.0 MB of text, 1.0 GiB of memory"):
        timed(LAW, SPEED, Limits(seconds=0.1, text_bytes=1e6, memory_bytes=2**30))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seconds": 0.0}, "seconds is 0.0; allowed: a positive number"),
        ({"seconds": float("inf")}, "seconds is inf"),
        ({"text_bytes": -1.0}, "text_bytes is -1.0; allowed: a positive number or None"),
        ({"memory_bytes": 0.0}, "memory_bytes is 0.0"),
        ({"max_epochs": 0.0}, "max_epochs is 0.0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(FREE, **change)
