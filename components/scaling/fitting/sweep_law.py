"""From the trainings of a ladder or a grid to a law in bits per byte, with its report."""

import dataclasses
from pathlib import Path
from typing import Any

from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.fitting.report import write_report
from components.scaling.fitting.runs import read_runs
from components.scaling.laws.files import LAW, write_law
from components.scaling.laws.law import Law
from components.scaling.laws.published import LAWS
from components.scaling.sweeps.table import FIGURE, FITTED, GRID


def fit_ladder(config: FitConfig, *, name: str, runs: Path, output: Path, base: Law | None = None) -> dict[str, Any]:
    """Fit the table `runs` and write `law.json`, `fit.json`, `report.html` and a PNG for each plot; the headline figures.

    The law takes batch and learning rate from `base`, where there is one.

    Raises:
        FitRefused: neither profiles nor the parametric fit could be fitted.
    """
    made = fit(read_runs(runs, FITTED), config)
    law = dataclasses.replace(law_of(made, name=name, data=name, base=base), figure=FIGURE)
    return _written(made, law, output)


def fit_grid(config: FitConfig, *, name: str, runs: Path, output: Path) -> dict[str, Any]:
    """The same for the laws of batch and learning rate; the rest of the law is DeepSeek's.

    Raises:
        FitRefused: fewer than three budgets with a grid.
    """
    made = fit(read_runs(runs, GRID), config)
    return _written(made, law_of(made, name=name, data=name, base=LAWS["deepseek"]), output)


def _written(made: Fit, law: Law, output: Path) -> dict[str, Any]:
    write_law(law, output / LAW)
    write_report(made, title=law.name, output=output)
    said = made.as_json()
    return {
        "runs": said["runs"],
        **({"n_exponent": made.isoflop.n_exponent.value} if made.isoflop else {}),
        **({"parametric_n_exponent": made.parametric.n_exponent.value} if made.parametric else {}),
        **{method: said[method] for method in said["methods"]},
        "refused": said["refused"],
        "left_out": [entry["reason"] for entry in said["left_out"]],
    }
