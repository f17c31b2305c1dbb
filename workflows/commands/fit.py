"""`longrun fit`: fit scaling laws to a table of runs, and show the fit as text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.fitting.runs import Exclusion, parse_columns, read_runs
from components.scaling.laws.files import find_law, write_law


def fit_table(table: Path, columns: str, config: FitConfig, *, output: Path | None, base: str, report: Path | None) -> Fit:
    """Fit the runs in a table. Writes the law to the file `output` and the report to the directory `report`, unless None."""
    base_law = find_law(base) if base else None
    fitted = fit(read_runs(table, parse_columns(columns)), config)
    if output is not None:
        write_law(law_of(fitted, name=output.stem, data=table.name, base=base_law), output)
    if report is not None:
        from components.scaling.fitting.report import write_report

        write_report(fitted, title=table.name, output=report)
    return fitted


def fit_lines(fitted: Fit) -> list[str]:
    """A fit as text."""
    values = fitted.as_json()
    lines = [f"{values['runs']} runs, {fitted.config.rounds} bootstrap rounds, 95 % intervals in brackets"]
    for name, title in _TITLES.items():
        if isinstance(method := values[name], Mapping):
            lines += [title.format(**method), *(f"  {key:<26}{_interval(value)}" for key, value in _estimates(method))]
    lines += [f"not fitted: {name}: {reason}" for name, reason in fitted.refused.items()]
    lines += [_excluded(entry) for entry in fitted.excluded]
    edges = fitted.hyper_parameters.edges if fitted.hyper_parameters else ()
    return lines + [f"note: at {compute:.3g} FLOPs: {reason}" for compute, reason in edges]


_TITLES = {
    "isoflop": "IsoFLOP profiles",
    "parametric": "parametric fit, L = E + A / n^alpha + B / d^beta, {runs} runs",
    "parametric_with_all_runs": "parametric fit without exclusions, {runs} runs",
    "hyper_parameters": "laws of batch size and learning rate",
}


def _estimates(method: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    return [(name, value) for name, value in method.items() if isinstance(value, dict)]


def _interval(value: Mapping[str, float]) -> str:
    return f"{value['value']:<12.5g}[{value['low']:.5g}, {value['high']:.5g}]"


def _excluded(entry: Exclusion) -> str:
    what = f"line {entry.row}" if entry.row else f"budget {entry.compute:.3g} FLOPs"
    return f"excluded from {entry.method}: {what}: {entry.reason}"
