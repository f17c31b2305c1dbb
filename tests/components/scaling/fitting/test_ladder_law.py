"""From a ladder's table to a law: the truth within the interval, the same bytes, and what is refused."""

from pathlib import Path

import pytest

from components.errors import FitRefused
from components.scaling.config import FitConfig
from components.scaling.fitting.ladder_law import fit_ladder
from components.scaling.law_files import read_law
from components.scaling.table import SCALE, write_table
from tests.components.scaling.ladder_truth import TRUTH, rows

CONFIG = FitConfig(scale=SCALE, rounds=200)


def fitted(tmp_path: Path, found: object, name: str = "law") -> tuple[dict[str, object], Path]:
    (tmp_path / name).mkdir()
    write_table(found, tmp_path / f"{name}.csv")  # type: ignore[arg-type]
    return fit_ladder(CONFIG, name="small", runs=tmp_path / f"{name}.csv", output=tmp_path / name), tmp_path / name


def test_the_truth_lies_within_the_intervals_and_the_law_predicts_bits_per_byte(tmp_path: Path) -> None:
    figures, output = fitted(tmp_path, rows())
    share = TRUTH.beta / (TRUTH.alpha + TRUTH.beta)
    for method in ("isoflop", "parametric"):
        exponent = figures[method]["n_exponent"]  # type: ignore[index]
        assert exponent["low"] < share < exponent["high"]
    law = read_law(output / "law.json")
    assert (law.figure, law.scale, law.name) == ("bits_per_byte", SCALE, "small")
    assert law.loss is not None


def test_the_artifact_holds_the_plots_as_html_and_png(tmp_path: Path) -> None:
    _, output = fitted(tmp_path, rows())
    names = {path.name for path in output.iterdir()}
    assert names == {"law.json", "fit.json", "report.html", "isoflop.png", "frontier.png", "predicted.png"}


def test_the_order_of_completion_does_not_change_a_byte(tmp_path: Path) -> None:
    found = rows()
    (first, one), (second, two) = fitted(tmp_path, found, "one"), fitted(tmp_path, found[::-1], "two")
    assert first == second
    assert all(path.read_bytes() == (two / path.name).read_bytes() for path in one.iterdir())


def test_too_few_trainings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FitRefused, match="nothing was fitted"):
        fitted(tmp_path, rows()[:5])
