"""A law as a value: its optimum, what it counts, and what contradicts itself."""

import dataclasses
from typing import Any

import pytest

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.scaling.laws.law import LossLaw, PowerLaw, allocation
from components.scaling.laws.published import LAWS

SHAPE = ModelShape(n_layer=4, d_model=128, n_head=4, n_kv_head=4, d_ffn=512, vocab_size=4096, context=256)


def test_the_allocation_of_a_loss_is_where_the_loss_is_least() -> None:
    loss = LossLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
    model, tokens = allocation(loss, 6.0)
    best = model.at(1e21)
    assert 6 * best * tokens.at(1e21) == pytest.approx(1e21)

    def at(n: float) -> float:
        return loss.A / n**loss.alpha + loss.B / (1e21 / 6 / n) ** loss.beta

    assert at(best) < min(at(0.99 * best), at(1.01 * best))


@pytest.mark.parametrize("exponent", [0.0, -0.2, 1.0, 1.7, float("nan"), float("inf")])
def test_a_law_with_a_bad_exponent_is_refused(exponent: float) -> None:
    with pytest.raises(ConfigError, match=r"exponent is .*; allowed: "):
        dataclasses.replace(LAWS["deepseek"], model=PowerLaw(exponent=exponent, coefficient=1.0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokens": PowerLaw(exponent=0.6, coefficient=1.0)}, r"Law\.tokens\.exponent is 0\.6; allowed: 1 - 0\.5243"),
        ({"scale": "layers"}, "Law.scale is 'layers'; allowed: non_embedding_flops_per_token, parameters"),
        ({"fitted": (1e20, 1e17)}, r"Law\.fitted is .*; allowed: two rising"),
    ],
)
def test_a_law_that_contradicts_itself_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(LAWS["deepseek"], **change)


def test_a_coefficient_or_loss_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"PowerLaw\.coefficient is -1"):
        PowerLaw(exponent=0.5, coefficient=-1.0)
    with pytest.raises(ConfigError, match=r"LossLaw\.E is 0"):
        LossLaw(E=0.0, A=1.0, B=1.0, alpha=0.3, beta=0.3)
    with pytest.raises(ConfigError, match=r"LossLaw\.draws is '1 rows'; allowed: rows of six"):
        LossLaw(E=1.0, A=1.0, B=1.0, alpha=0.3, beta=0.3, draws=((1.0, 2.0),))


@pytest.mark.parametrize("runs", [((1.0, 2.0),), ((1.0, -2.0, 3.0),), ((1.0, True, 3.0),)])
def test_runs_that_are_not_three_positive_numbers_are_refused(runs: Any) -> None:
    with pytest.raises(ConfigError, match=r"Law\.runs is '1 rows'; allowed: rows of three positive numbers"):
        dataclasses.replace(LAWS["deepseek"], runs=runs)
