"""The report: one page without a network, plots that are pictures, equal bytes for equal fits."""

import re
from pathlib import Path

import numpy as np
import pytest

from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.report import write_report
from components.scaling.fitting.runs import Runs
from tests.components.scaling.fitting.conftest import drawn
from tests.components.scaling.fitting.test_hyper_parameters import grid


@pytest.fixture(scope="module")
def made() -> Fit:
    n, d, _, loss = drawn(0)
    loss[int(np.argmin(d / n))] *= 1.3
    return fit(Runs(values={"n": n, "d": d, "loss": loss}, rows=tuple(range(2, 2 + len(n))), excluded=()), FitConfig(rounds=100))


@pytest.mark.long
def test_the_page_holds_figures_plots_and_what_was_left_out_and_asks_for_nothing_else(made: Fit, tmp_path: Path) -> None:
    write_report(made, title="<runs>.csv", output=tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "&lt;runs&gt;.csv" in page
    for words in (
        "IsoFLOP profiles",
        "Optimal frontier",
        "Predicted against actual",
        "without exclusions",
        "is number 1 from below",
    ):
        assert words in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("data:image/svg+xml;base64,") == 3


@pytest.mark.long
def test_every_plot_is_a_picture_beside_the_page(made: Fit, tmp_path: Path) -> None:
    write_report(made, title="runs", output=tmp_path)
    plots = sorted(path.name for path in tmp_path.glob("*.png"))
    assert plots == ["frontier.png", "isoflop.png", "predicted.png"]
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in plots)


@pytest.mark.long
def test_equal_fits_give_equal_bytes(made: Fit, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(made, title="runs", output=tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_grids_of_batch_and_learning_rate_are_drawn_as_contours(tmp_path: Path) -> None:
    c, batch, rate, loss = grid(0)
    values = {"c": c, "batch": batch, "learning_rate": rate, "loss": loss}
    table = Runs(values=values, rows=tuple(range(2, 2 + len(c))), excluded=())
    write_report(fit(table, FitConfig(rounds=100)), title="grid", output=tmp_path)
    assert [path.name for path in tmp_path.glob("*.png")] == ["hyper-parameters.png"]
