"""From the trainings of a ladder to a law in bits per byte, with its report."""

import dataclasses
from pathlib import Path
from typing import Any

from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.fitting.report import write_report
from components.scaling.fitting.runs import read_runs
from components.scaling.law import Law
from components.scaling.law_files import write_law
from components.scaling.plan import LAW
from components.scaling.table import FIGURE, FITTED


def fit_ladder(config: FitConfig, *, name: str, runs: Path, output: Path) -> dict[str, Any]:
    """Fit the table `runs` and write `law.json`, `fit.json`, `report.html` and a PNG for each plot; the headline figures.

    Raises:
        FitRefused: neither profiles nor the parametric fit could be fitted.
    """
    made, law = fitted(config, name=name, runs=runs)
    write_law(law, output / LAW)
    write_report(made, title=name, output=output)
    return figures(made)


def fitted(config: FitConfig, *, name: str, runs: Path) -> tuple[Fit, Law]:
    """The fit of a ladder's table, and its law."""
    made = fit(read_runs(runs, FITTED), config)
    return made, dataclasses.replace(law_of(made, name=name, data=name), figure=FIGURE)


def figures(made: Fit) -> dict[str, Any]:
    """Exponents and coefficients with their intervals, and what was refused, as JSON values."""
    said = made.as_json()
    return {
        "runs": said["runs"],
        **({"n_exponent": made.isoflop.n_exponent.value} if made.isoflop else {}),
        **({"parametric_n_exponent": made.parametric.n_exponent.value} if made.parametric else {}),
        **{method: said[method] for method in ("isoflop", "parametric") if said[method]},
        "refused": said["refused"],
        "left_out": [entry["reason"] for entry in said["left_out"]],
    }
