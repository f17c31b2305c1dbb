"""From a ladder's table to a law: the truth within the interval, the same bytes, and what is refused."""

import math
from pathlib import Path

import pytest

from components.artifacts import PointOutcome
from components.errors import FitRefused
from components.scaling.config import FitConfig
from components.scaling.fitting.sweep_law import fit_grid, fit_ladder
from components.scaling.laws.files import read_law, write_law
from components.scaling.laws.published import LAWS
from components.scaling.laws.text_law import SCALE
from components.scaling.sweeps.grid import Grid
from components.scaling.sweeps.table import Row, row_of, write_table
from tests.components.scaling.ladder_truth import LADDER, TRUTH, outcome, rows

CONFIG = FitConfig(scale=SCALE, rounds=200)


def fitted(tmp_path: Path, trainings: object, name: str = "law") -> tuple[dict[str, object], Path]:
    runs, output = tmp_path / f"{name}-runs", tmp_path / name
    runs.mkdir()
    output.mkdir()
    write_table(trainings, runs / "runs.csv")  # type: ignore[arg-type]
    return fit_ladder(CONFIG, name="small", runs=runs, output=output), output


@pytest.mark.long
def test_the_truth_lies_within_the_intervals_and_the_law_predicts_bits_per_byte(tmp_path: Path) -> None:
    figures, output = fitted(tmp_path, rows())
    share = TRUTH.beta / (TRUTH.alpha + TRUTH.beta)
    for method in ("isoflop", "parametric"):
        exponent = figures[method]["n_exponent"]  # type: ignore[index]
        assert exponent["low"] < share < exponent["high"]
    law = read_law(output / "law.json")
    assert (law.figure, law.scale, law.name) == ("bits_per_byte", SCALE, "small")
    assert law.loss is not None


@pytest.mark.long
def test_the_artifact_holds_the_plots_as_html_and_png(tmp_path: Path) -> None:
    _, output = fitted(tmp_path, rows())
    names = {path.name for path in output.iterdir()}
    assert names == {"law.json", "fit.json", "report.html", "isoflop.png", "frontier.png", "predicted.png"}


@pytest.mark.long
def test_the_order_of_completion_does_not_change_a_byte(tmp_path: Path) -> None:
    trainings = rows()
    (first, first_output), (second, second_output) = fitted(tmp_path, trainings, "one"), fitted(tmp_path, trainings[::-1], "two")
    assert first == second
    assert all(path.read_bytes() == (second_output / path.name).read_bytes() for path in first_output.iterdir())


def test_too_few_trainings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FitRefused, match="nothing was fitted"):
        fitted(tmp_path, rows()[:5])


GRID = Grid(
    budgets=(4e10, 8e10, 1.6e11, 3.2e11),
    family=LADDER.family,
    width=24,
    batch_sizes=(4, 8, 16, 32),
    learning_rates=(2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2),
)


def grid_rows() -> list[Row]:
    """Losses with one best batch and rate at each budget, C^0.3 / 100 sequences and 2 C^-0.2, as a bowl."""
    trainings = []
    for point in GRID.points():
        batch = math.log(point.plan.batch_size / (point.budget**0.3 / 100))
        rate = math.log(point.plan.learning_rate / (2 * point.budget**-0.2))
        measured = outcome(point.plan, 3 * (1 + 0.002 * batch**2 + 0.002 * rate**2))
        trainings.append(row_of(point, PointOutcome(trained=measured), 2.0))
    return trainings


def test_a_grid_gives_the_laws_of_batch_and_rate_with_contours_and_takes_the_rest_from_deepseek(tmp_path: Path) -> None:
    write_table(grid_rows(), tmp_path / "runs.csv")
    figures = fit_grid(CONFIG, name="grid", runs=tmp_path, output=tmp_path)
    exponent = figures["hyper_parameters"]["learning_rate_exponent"]
    assert exponent["low"] <= exponent["value"] <= exponent["high"] < 0
    law = read_law(tmp_path / "law.json")
    assert law.model == LAWS["deepseek"].model
    assert law.learning_rate is not None
    assert law.learning_rate.exponent == exponent["value"]
    assert (tmp_path / "hyper-parameters.png").exists()


def test_a_grid_names_the_budgets_whose_best_training_lies_at_its_edge(tmp_path: Path) -> None:
    smallest = [row for row in grid_rows() if float(row["batch"]) >= 16 * GRID.family.sequence_length]
    write_table(smallest, tmp_path / "runs.csv")
    figures = fit_grid(CONFIG, name="grid", runs=tmp_path, output=tmp_path)
    assert figures["edges"][0] == "3.99e+10 FLOPs: the least loss lies at the smallest batch of the grid"


def test_a_ladder_takes_batch_and_rate_from_the_law_of_a_grid(tmp_path: Path) -> None:
    write_table(rows(), tmp_path / "runs.csv")
    (tmp_path / "grid").mkdir()
    write_law(LAWS["deepseek"], tmp_path / "grid" / "law.json")
    fit_ladder(CONFIG, name="both", runs=tmp_path, output=tmp_path, bases={"grid": tmp_path / "grid"})
    assert read_law(tmp_path / "law.json").batch_tokens == LAWS["deepseek"].batch_tokens
