"""The verdict on a plan: what came out beside what its law predicted, and the law fitted again with that training."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.artifacts import Plan, Point
from components.errors import FitRefused
from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit
from components.scaling.fitting.ladder_law import LAW, fitted
from components.scaling.fitting.plots import png, verdict_plot
from components.scaling.fitting.report import write_report
from components.scaling.law_files import write_law
from components.scaling.table import read_table, row_of, write_table
from components.scaling.verdict import judge


def judge_ladder(
    config: FitConfig, *, name: str, plan: Plan, seed: int, measured: Mapping[str, Any], runs: Path, output: Path
) -> dict[str, Any]:
    """Judge the training that a ladder's law predicted, and let its point join the ladder's.

    Writes `verdict.json`, `verdict.png`, `runs.csv` (with the new point), and the law and report of the joint fit.

    Args:
        config: how the ladder was fitted.
        name: of the ladder.
        plan: with a prediction.
        seed: of the training.
        measured: its figures.
        runs: the ladder's table.
        output: an empty directory.

    Raises:
        FitRefused: the plan predicts nothing, or the training has no such figure.
    """
    before, _ = fitted(config, name=name, runs=runs)
    verdict = judge(plan, measured)
    (output / "verdict.json").write_text(json.dumps(verdict, indent=1) + "\n", encoding="utf-8")
    (output / "verdict.png").write_bytes(png(verdict_plot(before, plan, verdict)))
    point = Point(budget=plan.compute, plan=plan, seed=seed)
    write_table([*read_table(runs), row_of(point, measured)], output / "runs.csv")
    after, law = fitted(config, name=name, runs=output / "runs.csv")
    write_law(law, output / LAW)
    more = {"The verdict": verdict_plot(before, plan, verdict)}
    write_report(after, title=f"{name}, with the training that it predicted", output=output, more=more)
    return {**verdict, **_moved(before, after)}


def _moved(before: Fit, after: Fit) -> dict[str, Any]:
    """How the joint fit differs."""
    if before.parametric is None or after.parametric is None:
        raise FitRefused("the parametric fit was refused; without it there is no prediction to judge")
    return {
        f"{name}_{when}": made.parametric.coefficients[name].value
        for name in ("E", "alpha", "beta")
        for when, made in (("before", before), ("after", after))
        if made.parametric
    }
