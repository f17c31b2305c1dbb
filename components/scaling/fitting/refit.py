"""The verdict on a plan, and the law fitted again with the training that it predicted: the joint fit."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from components.errors import FitRefused
from components.scaling.config import FitConfig
from components.scaling.fitting.fit import fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.fitting.plots import png, verdict_plot
from components.scaling.fitting.report import write_report
from components.scaling.fitting.runs import read_runs
from components.scaling.laws.files import LAW, read_law, write_law
from components.scaling.laws.law import Law, scale_of
from components.scaling.planning.plan import read_plan
from components.scaling.planning.verdict import judge
from components.scaling.sweeps.table import write_runs


def judge_plan(config: FitConfig, *, plan: Path, measured: Mapping[str, Any], output: Path) -> dict[str, Any]:
    """Compare a training with its plan's prediction, and fit the law again with it.

    Writes `verdict.json`, `verdict.png`, `runs.csv` (the law's runs and the new one), and law and report of the joint fit.

    Args:
        config: how to fit; what n counts is as in the law.
        plan: a plan with a prediction, and its law beside it.
        measured: figures of the finished training.
        output: an empty directory.

    Raises:
        FitRefused: the plan predicts nothing, or the training has no such figure.
        ConfigError: the law beside the plan cannot be read.
    """
    predicting = read_plan(plan)
    verdict = judge(predicting, measured)
    law = read_law(plan / LAW)
    figure = verdict_plot(law, predicting, verdict)
    (output / "verdict.json").write_text(json.dumps(verdict, indent=1) + "\n", encoding="utf-8")
    (output / "verdict.png").write_bytes(png(figure))
    scale = scale_of(predicting.shape, predicting.sequence_length, law.scale)
    write_runs([*law.runs, (scale, float(predicting.tokens), verdict["actual"])], output / "runs.csv")
    try:
        joint = _fit_jointly(config, law, output, verdict_plot(law, predicting, verdict))
    except FitRefused as refusal:
        return {**verdict, "joint_fit": str(refusal)}
    return {**verdict, "law_before": _coefficients(law), "law_after": _coefficients(joint)}


def _fit_jointly(config: FitConfig, law: Law, output: Path, figure: Figure) -> Law:
    """The law of all runs in `runs.csv`, written with its report, which `figure` heads."""
    runs = read_runs(output / "runs.csv", {name: name for name in ("n", "d", "loss")})
    fitted = fit(runs, dataclasses.replace(config, scale=law.scale))
    joint = dataclasses.replace(law_of(fitted, name=law.name, data=law.data, base=law), figure=law.figure)
    write_law(joint, output / LAW)
    title = f"{law.name}, with the training that it predicted"
    write_report(fitted, title=title, output=output, more={"The verdict": figure})
    return joint


def _coefficients(law: Law) -> dict[str, float]:
    if law.loss is None:
        raise FitRefused("the parametric fit of all runs was refused")
    return {name: getattr(law.loss, name) for name in ("E", "A", "B", "alpha", "beta")}
