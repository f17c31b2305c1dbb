"""A whole table: methods side by side, and refusals."""

from pathlib import Path

import numpy as np
import pytest

from components.errors import ConfigError, FitRefused
from components.scaling.config import FitConfig
from components.scaling.fitting.fit import fit
from components.scaling.fitting.runs import read_runs
from tests.components.scaling.fitting.conftest import QUICK, TRUTH, drawn, runs, whole


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
    assert "5 coefficients need at least 8" in said["refused"]["parametric"]


def test_fewer_than_three_budgets_are_refused_altogether() -> None:
    n, d, _, loss = drawn(0, budgets=2)
    with pytest.raises(FitRefused, match="nothing was fitted: isoflop: 2 budgets; a law of compute needs at least 3; parametric"):
        fit(runs(n=n, d=d, loss=loss), QUICK)


def test_columns_that_allow_no_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="two of n, d and c, or c, batch and learning_rate"):
        fit(runs(n=[1.0], loss=[1.0]), QUICK)


def test_what_is_left_out_is_said_with_line_and_reason_and_what_leaving_it_in_does() -> None:
    n, d, _, loss = drawn(0)
    shortest = int(np.argmin(d / n))
    loss[shortest] *= 1.3
    made = fit(runs(n=n, d=d, loss=loss), QUICK)
    (entry,) = made.excluded
    assert (entry.method, entry.row) == ("parametric", shortest + 2)
    assert "is number 1 from below; its loss is far above" in entry.reason
    assert made.all_runs is not None
    assert made.as_json()["parametric_with_all_runs"]["runs"] == len(n)
