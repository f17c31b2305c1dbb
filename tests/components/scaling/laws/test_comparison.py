"""Corpora by their laws: exponents, what equal compute buys, and which differences are more than noise."""

from dataclasses import replace

import pytest

from components.errors import FitRefused
from components.scaling.laws.comparison import compare
from components.scaling.laws.law import Law, LossLaw, PowerLaw


def law(beta: float, scatter: float) -> Law:
    draws = tuple((1.0, 60.0, 440.0, 0.32, beta * (1 + scatter * step / 10), 0.0) for step in range(-10, 11))
    loss = LossLaw(E=1.0, A=60.0, B=440.0, alpha=0.32, beta=beta, draws=draws)
    power = PowerLaw(exponent=0.5, coefficient=1.0)
    return Law(name="l", source="s", data="d", model=power, tokens=power, loss=loss, figure="bits_per_byte")


def test_exponents_and_losses_are_those_of_the_laws() -> None:
    comparison = compare({"a": law(0.45, 0.1), "b": law(0.40, 0.1)}, 1e12)
    for name, beta in (("a", 0.45), ("b", 0.40)):
        said = comparison["corpora"][name]
        assert said["n_exponent"]["value"] == pytest.approx(beta / (0.32 + beta))
        assert said["n_exponent"]["low"] < said["n_exponent"]["value"] < said["n_exponent"]["high"]
        assert said["model_optimum"] * said["tokens_optimum"] == pytest.approx(1e12)
        assert said["loss"]["value"] == pytest.approx(
            1 + 60 / said["model_optimum"] ** 0.32 + 440 / said["tokens_optimum"] ** beta
        )


@pytest.mark.parametrize(("scatter", "apart"), [(0.01, True), (0.3, False)])
def test_a_difference_counts_where_the_intervals_do_not_overlap(scatter: float, apart: bool) -> None:
    comparison = compare({"a": law(0.45, scatter), "b": law(0.40, scatter)}, 1e12)
    assert ("n_exponent" in comparison["apart"]) is apart


def test_a_law_without_a_parametric_fit_is_not_compared() -> None:
    with pytest.raises(FitRefused, match="has no parametric fit"):
        compare({"a": law(0.45, 0.1), "b": replace(law(0.45, 0.1), loss=None)}, 1e12)
