"""The verdict on a plan, and the law fitted again with the training that it predicted: the joint fit."""

import dataclasses
from pathlib import Path

from matplotlib.figure import Figure

from components.artifacts import Figures, Plan, TrainingOutcome, encoded
from components.errors import FitRefused
from components.flops import scale_of
from components.scaling.config import FitConfig
from components.scaling.fitting.fit import fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.fitting.plots import png, verdict_plot
from components.scaling.fitting.report import write_report
from components.scaling.fitting.runs import read_runs
from components.scaling.laws.law import Law
from components.scaling.planning.verdict import judge
from components.scaling.sweeps.table import write_runs


def judge_plan(config: FitConfig, *, plan: Path, checkpoint: Path, output: Path) -> Figures:
    """Compare a training run with its plan's prediction, and fit the law again with it.

    Writes `verdict.json`, `verdict.png`, `runs.csv` (the law's runs and the new one), and law and report of the joint fit.

    Args:
        config: how to fit; what n counts is as in the law.
        plan: a plan with a prediction, and its law beside it.
        checkpoint: the finished training.
        output: an empty directory.

    Raises:
        FitRefused: the plan predicts nothing, or the training has no such figure.
        MissingArtifact, DamagedArtifact: a file of the plan or of the checkpoint is not there, or damaged.
    """
    predicting, law = Plan.read(plan), Law.read(plan)
    verdict = judge(predicting, TrainingOutcome.read(checkpoint))
    figure = verdict_plot(law, predicting, verdict)
    verdict.write(output)
    (output / "verdict.png").write_bytes(png(figure))
    scale = scale_of(predicting.shape, predicting.sequence_length, law.scale)
    write_runs([*law.runs, (scale, float(predicting.tokens), verdict.actual)], output / "runs.csv")
    try:
        joint = _fit_jointly(config, law, output, verdict_plot(law, predicting, verdict))
    except FitRefused as refusal:
        return {**encoded(verdict), "joint_fit": str(refusal)}
    return {**encoded(verdict), "law_before": _coefficients(law), "law_after": _coefficients(joint)}


def _fit_jointly(config: FitConfig, law: Law, output: Path, figure: Figure) -> Law:
    """The law of all runs in `runs.csv`, written with its report, which `figure` heads."""
    runs = read_runs(output / "runs.csv", {name: name for name in ("n", "d", "loss")})
    fitted = fit(runs, dataclasses.replace(config, scale=law.scale))
    joint = dataclasses.replace(law_of(fitted, name=law.name, data=law.data, base=law), figure=law.figure)
    joint.write(output)
    title = f"{law.name}, with the training that it predicted"
    write_report(fitted, title=title, output=output, more={"The verdict": figure})
    return joint


def _coefficients(law: Law) -> dict[str, float]:
    if law.loss is None:
        raise FitRefused("the parametric fit of all runs was refused")
    return {name: getattr(law.loss, name) for name in ("E", "A", "B", "alpha", "beta")}
