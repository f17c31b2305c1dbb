"""The report of a text's law: every coefficient with its interval, vocabularies compared, and what was not fitted."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.scaling.config import FitConfig
from components.scaling.fitting.parametric import fit_parametric
from components.scaling.fitting.runs import Runs
from components.scaling.fitting.text_report import write_text_report
from components.scaling.laws.text_law import SCALE
from tests.components.scaling.text_truth import LAW, SMALL, TRUTHS, columns


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on two vocabularies that could not be fitted alone."""
    truths = {size: TRUTHS[size] for size in (512, 1024)}
    n, d, loss, group = columns(truths, 0)
    joint = fit_parametric(n, d, loss, rounds=100, seed=0, leave_out=0, group=group)
    tables = {
        size: Runs(
            values={name: value[group == size] for name, value in (("n", n), ("d", d), ("c", n * d), ("loss", loss))},
            rows=tuple(np.arange((group == size).sum()).tolist()),
            excluded=(),
        )
        for size in truths
    }
    output = tmp_path_factory.mktemp("report")
    alone = dict.fromkeys(truths, "too few runs")
    write_text_report(LAW, joint, alone, tables=tables, ladder=SMALL, config=FitConfig(scale=SCALE, rounds=100), output=output)
    return output


def test_the_page_holds_the_joint_fit_the_best_models_and_what_was_not_fitted(report: Path) -> None:
    page = (report / "report.html").read_text()
    for words in (
        "Scaling laws of mine",
        "Joint fit: L = E",
        "A 512",
        "B 1024",
        "The best model of each vocabulary",
        "too few runs",
    ):
        assert words in page
    assert page.count("data:image/svg+xml") == 2


def test_the_json_compares_the_vocabularies_at_the_largest_budget_and_at_the_target(report: Path) -> None:
    rows = json.loads((report / "fit.json").read_text())["optima"]
    assert {(row["compute"], row["vocab_size"]) for row in rows} == {(c, size) for c in (4e12, 3.2e13) for size in (512, 1024)}
    for compute in (4e12, 3.2e13):
        bits = [row["bits_per_byte"] for row in rows if row["compute"] == compute]
        assert bits == sorted(bits)
