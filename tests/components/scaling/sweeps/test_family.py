"""Families of small models: proportions, budgets, and what is too little."""

from dataclasses import replace

import pytest

from components.errors import ConfigError
from components.flops import non_embedding_flops_per_token
from components.scaling.sweeps.family import Family

FAMILY = Family(n_layer=2, vocab_size=512, sequence_length=128)


@pytest.mark.parametrize("width", [12, 16, 20, 24, 28, 36, 40, 64, 100, 128])
def test_every_width_has_a_shape_in_the_proportions_of_the_paper(width: int) -> None:
    shape = FAMILY.shape(width)
    assert shape.d_ffn == pytest.approx(8 / 3 * width, abs=4.1)
    assert shape.d_head % 2 == 0
    assert FAMILY.scale(width) == non_embedding_flops_per_token(shape, 128)


@pytest.mark.parametrize("width", [8, 16, 44, 128, 1024])
def test_the_nearest_width_to_the_scale_of_a_model_is_its_own(width: int) -> None:
    assert FAMILY.nearest_width(FAMILY.scale(width) * 1.001) == width


def test_a_plan_takes_its_budget_to_within_half_a_batch() -> None:
    plan = FAMILY.plan(1e11, 32, batch_size=16, learning_rate=1e-2)
    assert abs(plan.compute - 1e11) <= FAMILY.scale(32) * 16 * 128 / 2
    assert plan.tokens == plan.steps * 16 * 128


def test_too_few_steps_are_refused_with_what_would_help() -> None:
    with pytest.raises(ConfigError, match="6 steps'; allowed: at least 50: a larger budget, or a smaller model or batch"):
        FAMILY.plan(1e10, 64, batch_size=16, learning_rate=1e-2)


@pytest.mark.parametrize("name", ["n_layer", "vocab_size", "sequence_length", "head_width", "init_std"])
def test_a_family_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a positive number"):
        Family(**{"n_layer": 2, "vocab_size": 512, "sequence_length": 128} | {name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(("width", "layers"), [(32, 2), (64, 2), (96, 2), (128, 3), (192, 4), (256, 5)])
def test_a_family_with_an_aspect_gets_deeper_with_its_width_and_no_narrow_model_is_shallower(width: int, layers: int) -> None:
    family = replace(FAMILY, aspect=48.0)
    assert family.shape(width).n_layer == layers
    assert family.scale(width) == non_embedding_flops_per_token(family.shape(width), 128)


def test_a_family_with_an_aspect_grows_with_every_step_in_width() -> None:
    family = replace(FAMILY, aspect=48.0)
    scales = [family.scale(width) for width in range(8, 512, 4)]
    assert scales == sorted(set(scales))


def test_heads_are_about_as_wide_as_the_family_says() -> None:
    assert replace(FAMILY, head_width=32).shape(128).d_head == 32
    assert FAMILY.shape(128).d_head == 16


def test_flops_count_the_head_and_so_grow_with_the_vocabulary() -> None:
    assert FAMILY.flops(64) == FAMILY.scale(64) + 6 * 512 * 64
    assert replace(FAMILY, vocab_size=1024).flops(64) - FAMILY.flops(64) == 6 * 512 * 64


def test_an_aspect_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ConfigError, match="aspect is 0; allowed: a positive number or None"):
        replace(FAMILY, aspect=0)
