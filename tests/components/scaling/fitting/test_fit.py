"""A whole table: methods side by side, refusals, and the law that plans."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from components.errors import ConfigError, FitRefused
from components.scaling.config import Choices, FitConfig, ScalingConfig
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.fitting.runs import Runs, read_runs
from components.scaling.laws.files import read_law, write_law
from components.scaling.laws.published import LAWS
from components.scaling.planning.planner import Planner
from tests.components.scaling.fitting.conftest import TRUTH, drawn

QUICK = FitConfig(rounds=100)


def runs(**values: object) -> Runs:
    arrays = {name: np.asarray(value, dtype=float) for name, value in values.items()}
    return Runs(values=arrays, rows=tuple(range(2, 2 + len(arrays["loss"]))), excluded=())


def whole(seed: int = 0) -> Fit:
    n, d, _, loss = drawn(seed)
    return fit(runs(n=n, d=d, loss=loss), QUICK)


def test_both_methods_stand_side_by_side_with_intervals() -> None:
    said = whole().as_json()
    assert said["methods"] == ["isoflop", "parametric"]
    for method, names in {"isoflop": ("n_exponent", "d_exponent"), "parametric": ("E", "A", "B", "alpha", "beta")}.items():
        for name in names:
            assert said[method][name]["low"] <= said[method][name]["value"] <= said[method][name]["high"]
    assert (said["refused"], said["left_out"], said["parametric_with_all_runs"]) == ({}, [], None)


def test_any_two_of_scale_tokens_and_compute_give_the_same_fit(table: Path) -> None:
    names = {"n": "params", "d": "tokens", "c": "FLOPs"}
    made = []
    for pair in (("n", "d"), ("n", "c"), ("d", "c"), ("n", "d", "c")):
        said = fit(read_runs(table, {name: names[name] for name in pair} | {"loss": "final loss"}), QUICK).as_json()
        made.append([said["isoflop"]["n_exponent"]["value"], said["parametric"]["alpha"]["value"]])
    assert np.allclose(made, made[0], rtol=2e-3)


def test_the_order_of_the_rows_does_not_change_the_fit(table: Path) -> None:
    columns = {"n": "params", "c": "FLOPs", "loss": "final loss"}
    first = fit(read_runs(table, columns), QUICK).as_json()
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *sorted(rows, key=lambda row: row[::-1])]))
    assert fit(read_runs(table, columns), QUICK).as_json() == first


def test_scattered_budgets_leave_the_parametric_fit_and_the_reason_for_the_other() -> None:
    generator = np.random.default_rng(0)
    n, d = np.exp(generator.uniform(16, 22, 40)), np.exp(generator.uniform(20, 26, 40))
    loss = TRUTH.E + TRUTH.A / n**TRUTH.alpha + TRUTH.B / d**TRUTH.beta
    said = fit(runs(n=n, d=d, loss=loss * np.exp(0.002 * generator.standard_normal(40))), QUICK).as_json()
    assert said["isoflop"] is None
    assert "power laws need 3" in said["refused"]["isoflop"]
    assert said["parametric"]["alpha"]["value"] == pytest.approx(TRUTH.alpha, abs=0.05)


def test_a_parametric_refusal_leaves_the_profiles() -> None:
    n, d, c, _ = drawn(0, budgets=3, sizes=5)
    loss = (
        3 - 0.05 * np.log(c / 1e18) + 0.02 * np.log(n / 1e-2 / c**0.5) ** 2 * 0 + 0.05 * (np.log(n) - 0.5 * np.log(c / 600)) ** 2
    )
    said = fit(runs(n=n, d=d, loss=loss), FitConfig(rounds=100, leave_out=18)).as_json()
    assert said["methods"] == ["isoflop"]
    assert "five coefficients need at least 8" in said["refused"]["parametric"]


def test_fewer_than_three_budgets_are_refused_altogether() -> None:
    n, d, _, loss = drawn(0, budgets=2)
    with pytest.raises(FitRefused, match="nothing was fitted: isoflop: 2 budgets; a law of compute needs at least 3; parametric"):
        fit(runs(n=n, d=d, loss=loss), QUICK)


def test_columns_that_allow_no_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="two of n, d and c, or c, batch and learning_rate"):
        fit(runs(n=[1.0], loss=[1.0]), QUICK)


def test_what_is_left_out_is_said_with_line_and_reason_and_what_leaving_it_in_does() -> None:
    n, d, _, loss = drawn(0)
    least = int(np.argmin(d / n))
    loss[least] *= 1.3
    made = fit(runs(n=n, d=d, loss=loss), QUICK)
    (entry,) = made.excluded
    assert (entry.method, entry.row) == ("parametric", least + 2)
    assert "is number 1 from below; its loss is far above" in entry.reason
    assert made.all_runs is not None
    assert made.as_json()["parametric_with_all_runs"]["runs"] == len(n)


def test_the_law_of_a_fit_plans_and_predicts_with_an_interval(tmp_path: Path) -> None:
    law = law_of(whole(), name="mine", data="runs.csv")
    write_law(law, tmp_path / "law.json")
    made = Planner(
        config=ScalingConfig(compute=1e22), choices=Choices(), vocab_size=32768, law=read_law(tmp_path / "law.json")
    ).plan()
    assert made.prediction is not None
    truth = TRUTH.E + TRUTH.A / made.law["parameters"] ** TRUTH.alpha + TRUTH.B / made.law["tokens"] ** TRUTH.beta
    assert made.prediction["low"] < truth < made.prediction["high"]
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
    from tests.components.scaling.fitting.test_hyper_parameters import grid

    c, batch, rate, loss = grid(0)
    made = fit(runs(c=c, batch=batch, learning_rate=rate, loss=loss), QUICK)
    assert made.as_json()["methods"] == ["hyper_parameters"]
    law = law_of(made, name="mine", data="grid.csv", base=LAWS["chinchilla"])
    assert law.model == LAWS["chinchilla"].model
    assert law.learning_rate is not None
    assert law.learning_rate.exponent == pytest.approx(-0.125, abs=0.03)
    with pytest.raises(ConfigError, match="such as --base deepseek"):
        law_of(made, name="mine", data="grid.csv")


@pytest.mark.parametrize(("field", "value"), [("scale", "layers"), ("leave_out", -1), ("rounds", 5), ("seed", -1)])
def test_a_bad_setting_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"FitConfig\.{field} is"):
        FitConfig(**{field: value})  # type: ignore[arg-type]
