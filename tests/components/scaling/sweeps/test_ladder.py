"""Ladders: equal compute within a profile, trainings that can share trunks, and the step beyond."""

from dataclasses import replace

import pytest

from components.errors import ConfigError
from components.flops import non_embedding_flops_per_token, scale_of
from components.scaling.laws.law import Law, PowerLaw
from components.scaling.sweeps.family import Family
from components.scaling.sweeps.ladder import Ladder, Rung, ladder_up_to

LADDER = Ladder(
    rungs=(
        Rung(compute=1e11, widths=(16, 24, 32), seeds=2),
        Rung(compute=2e11, widths=(16, 24, 32)),
        Rung(compute=4e11, widths=(24, 32, 48)),
    ),
    family=Family(n_layer=2, vocab_size=512, sequence_length=128),
    batch_size=16,
    learning_rate=6e-3,
)


def test_every_training_of_a_profile_takes_its_budget_to_within_half_a_batch() -> None:
    for point in LADDER.points():
        batch = point.plan.batch_size * point.plan.sequence_length
        scale = non_embedding_flops_per_token(point.plan.shape, point.plan.sequence_length)
        assert abs(point.plan.compute - point.budget) <= scale * batch / 2
        assert point.plan.tokens == point.plan.steps * batch


def test_the_seeds_of_a_profile_are_trained_each() -> None:
    seeds = [(point.budget, point.seed) for point in LADDER.points()]
    assert [seeds.count(pair) for pair in ((1e11, 0), (1e11, 1), (2e11, 0), (2e11, 1))] == [3, 3, 3, 0]


def test_models_of_one_width_differ_in_their_steps_alone_whatever_the_budget() -> None:
    plans = [replace(p.plan, steps=1, tokens=1, compute=1.0) for p in LADDER.points() if p.plan.shape.d_model == 24]
    assert len(plans) == 4
    assert plans.count(plans[0]) == 4


def test_the_rate_falls_as_one_over_the_width() -> None:
    rates = {p.plan.shape.d_model: p.plan.learning_rate for p in LADDER.points()}
    assert rates[16] == pytest.approx(2 * rates[32]) == pytest.approx(3 * rates[48]) == pytest.approx(2.4e-2)


def law(exponent: float, coefficient: float) -> Law:
    powers = {"model": PowerLaw(exponent=exponent, coefficient=coefficient)}
    return Law(name="l", source="s", data="d", tokens=PowerLaw(exponent=1 - exponent, coefficient=1 / coefficient), **powers)


def test_beyond_the_ladder_the_model_nearest_to_the_laws_optimum_takes_the_whole_target() -> None:
    compute, choices = LADDER.extrapolated(law(0.5, 1.0))
    assert compute == 8 * 4e11
    assert choices.shape is not None
    assert choices.tokens is not None
    scale = scale_of(choices.shape, 128, "non_embedding_flops_per_token")
    assert scale * choices.tokens == pytest.approx(compute, rel=1e-3)
    assert scale == pytest.approx(compute**0.5, rel=0.15)
    assert choices.learning_rate == pytest.approx(6e-3 * 64 / choices.shape.d_model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rungs": LADDER.rungs[:2]}, "three or more rising budgets"),
        ({"rungs": LADDER.rungs[::-1]}, "three or more rising budgets"),
        ({"rungs": (Rung(compute=1e9, widths=(64,)), *LADDER.rungs)}, "1 steps'; allowed: at least 50"),
        ({"target": 1.0}, "a multiple above 1"),
        ({"batch_size": 0}, "a positive number"),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(LADDER, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"compute": 0.0, "widths": (16,)}, "a positive number of FLOPs"),
        ({"compute": 1e11, "widths": ()}, "rising widths"),
        ({"compute": 1e11, "widths": (32, 16)}, "rising widths"),
        ({"compute": 1e11, "widths": (18,)}, "multiples of 4"),
        ({"compute": 1e11, "widths": (16,), "seeds": 0}, "a positive integer"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Rung(**values)  # type: ignore[arg-type]


def test_a_ladder_up_to_a_budget_doubles_four_times_with_models_around_the_guess() -> None:
    ladder = ladder_up_to(2e12, like=LADDER)
    assert [rung.compute for rung in ladder.rungs] == [2.5e11, 5e11, 1e12, 2e12]
    assert all(len(rung.widths) >= 6 for rung in ladder.rungs)
    assert ladder.target is None
    with pytest.raises(ConfigError, match="for a training run to be predicted"):
        ladder.extrapolated(law(0.5, 1.0))


def test_a_budget_too_small_for_the_family_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 50: a larger budget"):
        ladder_up_to(1e9, like=LADDER)
