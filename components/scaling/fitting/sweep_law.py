"""From the training runs of a ladder or a grid to a law in bits per byte, with its report."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from components.artifacts import Figures
from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.fitting.report import write_report
from components.scaling.fitting.runs import read_runs
from components.scaling.laws.law import Law
from components.scaling.laws.published import LAWS
from components.scaling.laws.text_law import FIGURE
from components.scaling.sweeps.table import GRID_COLUMNS, LADDER_COLUMNS, RUNS


def fit_ladder(config: FitConfig, *, name: str, runs: Path, output: Path, bases: Mapping[str, Path] | None = None) -> Figures:
    """Fit the training runs in the directory `runs`, and write `law.json`, `fit.json`, `report.html` and a PNG for each plot.

    The law takes batch and learning rate from the first of `bases`, directories of laws, where there is one. Returns the
    headline figures.

    Raises:
        FitRefused: neither profiles nor the parametric fit could be fitted.
    """
    fitted = fit(read_runs(runs / RUNS, LADDER_COLUMNS), config)
    base = next((Law.read(directory) for directory in (bases or {}).values()), None)
    law = dataclasses.replace(law_of(fitted, name=name, data=name, base=base), figure=FIGURE)
    return _write(fitted, law, output)


def fit_grid(config: FitConfig, *, name: str, runs: Path, output: Path) -> Figures:
    """The same for a grid and the laws of batch and learning rate; the rest of the law is DeepSeek's.

    Raises:
        FitRefused: fewer than three budgets with a grid.
    """
    fitted = fit(read_runs(runs / RUNS, GRID_COLUMNS), config)
    return _write(fitted, law_of(fitted, name=name, data=name, base=LAWS["deepseek"]), output)


def _write(fitted: Fit, law: Law, output: Path) -> Figures:
    law.write(output)
    write_report(fitted, title=law.name, output=output)
    values, grid = fitted.as_json(), fitted.hyper_parameters
    return {
        "runs": values["runs"],
        **({"n_exponent": fitted.isoflop.n_exponent.value} if fitted.isoflop else {}),
        **({"parametric_n_exponent": fitted.parametric.n_exponent.value} if fitted.parametric else {}),
        **{method: values[method] for method in fitted.methods},
        "refused": dict(fitted.refused),
        "left_out": [entry.reason for entry in fitted.excluded],
        **({"edges": [f"{compute:.3g} FLOPs: {where}" for compute, where in grid.edges]} if grid else {}),
    }
