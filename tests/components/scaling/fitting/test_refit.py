"""The verdict on a ladder's prediction, and the point that joins the fit."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Plan, PlanVerdict
from components.errors import FitRefused
from components.scaling.config import FitConfig, ScalingConfig
from components.scaling.fitting.refit import judge_plan
from components.scaling.fitting.sweep_law import fit_ladder
from components.scaling.laws.law import Law
from components.scaling.laws.text_law import SCALE
from components.scaling.planning.planner import Planner
from components.scaling.sweeps.table import write_table
from tests.components.scaling.ladder_truth import LADDER, expected, outcome, rows

CONFIG = FitConfig(scale=SCALE, rounds=200)


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan beyond a ladder, with the ladder's law beside it."""
    directory = tmp_path_factory.mktemp("ladder")
    write_table(rows(), directory / "runs.csv")
    fit_ladder(CONFIG, name="small", runs=directory, output=directory)
    write_plan(directory)
    return directory


def write_plan(directory: Path) -> None:
    law = Law.read(directory)
    compute, choices = LADDER.extrapolated(law)
    plan = Planner(config=ScalingConfig(compute=compute), choices=choices, vocab_size=512, law=law).plan()
    plan.write(directory)


def judged(ladder: Path, output: Path, factor: float) -> dict[str, Any]:
    output.mkdir()
    checkpoint = output.with_name("checkpoint")
    checkpoint.mkdir()
    plan = Plan.read(ladder)
    outcome(plan, factor * expected(plan)).write(checkpoint)
    return judge_plan(CONFIG, plan=ladder, checkpoint=checkpoint, output=output)


@pytest.mark.long
def test_what_the_truth_says_eight_times_beyond_the_ladder_is_inside(ladder: Path, tmp_path: Path) -> None:
    verdict = judged(ladder, tmp_path / "verdict", 1.0)
    assert verdict["position"] == "inside"
    assert PlanVerdict.read(tmp_path / "verdict").actual == verdict["actual"]
    assert (tmp_path / "verdict" / "verdict.png").read_bytes().startswith(b"\x89PNG")
    assert "The verdict" in (tmp_path / "verdict" / "report.html").read_text()


@pytest.mark.long
def test_what_is_a_tenth_worse_is_above_and_moves_the_law(ladder: Path, tmp_path: Path) -> None:
    verdict = judged(ladder, tmp_path / "verdict", 1.1)
    assert verdict["position"] == "above"
    assert verdict["excess"] == pytest.approx(0.1, abs=0.02)
    assert verdict["law_after"] != verdict["law_before"]


@pytest.mark.long
def test_the_point_joins_the_data_of_the_fit(ladder: Path, tmp_path: Path) -> None:
    verdict = judged(ladder, tmp_path / "verdict", 1.0)
    old, new = Law.read(ladder), Law.read(tmp_path / "verdict")
    (added,) = set(new.runs) - set(old.runs)
    assert added[2] == verdict["actual"]
    assert added[0] * added[1] == pytest.approx(8 * LADDER.rungs[-1].compute, rel=1e-3)
    assert len((tmp_path / "verdict" / "runs.csv").read_text().splitlines()) == len(new.runs) + 1
    assert (new.figure, new.scale) == (old.figure, old.scale)


def test_a_fit_that_is_refused_leaves_the_verdict(ladder: Path, tmp_path: Path) -> None:
    law = Law.read(ladder)
    (tmp_path / "plan").mkdir()
    shutil.copy(ladder / "plan.json", tmp_path / "plan")
    dataclasses.replace(law, runs=law.runs[:3]).write(tmp_path / "plan")
    verdict = judged(tmp_path / "plan", tmp_path / "verdict", 1.0)
    assert verdict["position"] == "inside"
    assert "nothing was fitted" in verdict["joint_fit"]


def test_without_a_prediction_there_is_no_verdict(ladder: Path, tmp_path: Path) -> None:
    plan, law = dataclasses.replace(Plan.read(ladder), prediction=None), Law.read(ladder)
    for value in (plan, law, outcome(plan, 1.0)):
        value.write(tmp_path)
    with pytest.raises(FitRefused, match="predicts nothing"):
        judge_plan(CONFIG, plan=tmp_path, checkpoint=tmp_path, output=tmp_path)
