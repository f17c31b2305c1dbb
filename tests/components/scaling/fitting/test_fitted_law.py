"""The law of a fit: it plans and predicts, from either method, and not from columns in other units."""

import dataclasses
from pathlib import Path

import pytest

from components.errors import ConfigError
from components.scaling.config import ScalingConfig
from components.scaling.fitting.fit import fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.laws.files import read_law, write_law
from components.scaling.laws.published import LAWS
from components.scaling.planning.planner import Planner
from components.training.config import Choices
from tests.components.scaling.fitting.conftest import QUICK, TRUTH, drawn, runs, whole
from tests.components.scaling.fitting.test_hyper_parameters import grid


def test_the_law_of_a_fit_plans_and_predicts_with_an_interval(tmp_path: Path) -> None:
    law = law_of(whole(), name="mine", data="runs.csv")
    write_law(law, tmp_path / "law.json")
    made = Planner(
        config=ScalingConfig(compute=1e22), choices=Choices(), vocab_size=32768, law=read_law(tmp_path / "law.json")
    ).plan()
    assert made.prediction is not None
    truth = TRUTH.E + TRUTH.A / made.law["parameters"] ** TRUTH.alpha + TRUTH.B / made.law["tokens"] ** TRUTH.beta
    assert made.prediction.low < truth < made.prediction.high
    assert "extrapolated" in made.notes[0]


def test_a_parametric_fit_alone_makes_a_law_too() -> None:
    law = law_of(dataclasses.replace(whole(), isoflop=None), name="mine", data="runs.csv")
    assert law.model.exponent == pytest.approx(TRUTH.beta / (TRUTH.alpha + TRUTH.beta), abs=0.05)


def test_numbers_in_millions_fit_but_make_no_law() -> None:
    n, d, c, loss = drawn(0)
    made = fit(runs(n=n / 1e6, d=d, c=c, loss=loss), QUICK)
    assert made.isoflop is not None
    with pytest.raises(ConfigError, match=r"C / \(N·D\) of the table is 6e\+06; a law that plans needs about 6"):
        law_of(made, name="mine", data="runs.csv")


def test_hyper_parameters_alone_are_a_law_on_top_of_another() -> None:
    c, batch, rate, loss = grid(0)
    made = fit(runs(c=c, batch=batch, learning_rate=rate, loss=loss), QUICK)
    assert made.as_json()["methods"] == ["hyper_parameters"]
    law = law_of(made, name="mine", data="grid.csv", base=LAWS["chinchilla"])
    assert law.model == LAWS["chinchilla"].model
    assert law.learning_rate is not None
    assert law.learning_rate.exponent == pytest.approx(-0.125, abs=0.03)
    with pytest.raises(ConfigError, match="such as --base deepseek"):
        law_of(made, name="mine", data="grid.csv")
