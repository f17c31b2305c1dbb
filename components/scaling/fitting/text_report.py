"""The law of a text as one HTML page: its coefficients, each vocabulary's fit alone beside it, and how vocabularies compare."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.artifacts import Figures
from components.files import JSON
from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit
from components.scaling.fitting.intervals import Estimate
from components.scaling.fitting.parametric import Parametric
from components.scaling.fitting.plots import drawn, isoflop_plot
from components.scaling.fitting.report import write_page
from components.scaling.fitting.runs import Runs
from components.scaling.laws.text_law import TextLaw
from components.scaling.sweeps.ladder import Ladder
from components.scaling.sweeps.vocabulary import Optimum, optima

JOINT = "Joint fit: L = E + A / n^alpha + B / d^beta, with A and B of each vocabulary"


def write_text_report(
    law: TextLaw,
    joint: Parametric,
    alone: Mapping[int, Fit | str],
    *,
    tables: Mapping[int, Runs],
    ladder: Ladder,
    config: FitConfig,
    output: Path,
) -> Figures:
    """Write `report.html`, `fit.json` and a PNG for each plot; the figures of the fit.

    Args:
        law: what was fitted.
        joint: its fit.
        alone: the fits of each vocabulary by itself, or why there are none.
        tables: the training runs of each vocabulary.
        ladder: its family is what vocabularies are compared by.
        config: how it was fitted.
        output: the directory.
    """
    values = {"config": dataclasses.asdict(config), **_values(law, joint, alone, ladder)}
    headings = {"joint": JOINT} | {f"parametric_{size}": f"Vocabulary {size} fitted alone" for size in alone}
    figures = list(_plots(law, alone, tables, ladder))
    write_page(values, title=law.name, headings=headings, figures=figures, output=output)
    return {name: value for name, value in values.items() if name != "config"}


def _values(law: TextLaw, joint: Parametric, alone: Mapping[int, Fit | str], ladder: Ladder) -> dict[str, JSON]:
    fits = {size: fit for size, fit in alone.items() if isinstance(fit, Fit)}
    refused: dict[str, JSON] = {f"vocabulary {size}": fit for size, fit in alone.items() if isinstance(fit, str)}
    for size, fit in fits.items():
        refused |= {f"vocabulary {size}, {method}": reason for method, reason in fit.refused.items()}
    return {
        "runs": sum(len(vocabulary.law.runs) for vocabulary in law.vocabularies),
        "joint": {name: dataclasses.asdict(value) for name, value in _estimates(joint).items()},
        **{f"parametric_{size}": fit.as_json()["parametric"] for size, fit in fits.items() if fit.parametric},
        "vocabularies": {str(entry.vocab_size): {"bytes_per_token": entry.bytes_per_token} for entry in law.vocabularies},
        "optima": [_row(compute, optimum) for compute in _budgets(ladder) for optimum in optima(law, ladder.family, compute)],
        "refused": refused,
        "left_out": [dataclasses.asdict(entry) for fit in fits.values() for entry in fit.excluded if entry.method == "all"],
    }


def _estimates(joint: Parametric) -> dict[str, Estimate]:
    return {**joint.coefficients, "n_exponent": joint.n_exponent, "d_exponent": joint.d_exponent}


def _budgets(ladder: Ladder) -> list[float]:
    largest = ladder.rungs[-1].compute
    return [largest, *([ladder.target_compute] if ladder.target else [])]


def _row(compute: float, optimum: Optimum) -> dict[str, JSON]:
    return {"compute": compute, **dataclasses.asdict(optimum)}


def _plots(
    law: TextLaw, alone: Mapping[int, Fit | str], tables: Mapping[int, Runs], ladder: Ladder
) -> Iterator[tuple[str, str, Figure]]:
    yield "vocabularies", "Bits per byte of the best model by vocabulary", drawn(lambda axes: _compare(axes, law, ladder))
    yield "predicted", "Predicted against actual bits per byte", drawn(lambda axes: _predicted(axes, law, tables))
    for size, fit in alone.items():
        if isinstance(fit, Fit) and fit.isoflop is not None:
            yield f"isoflop-{size}", f"IsoFLOP profiles of vocabulary {size}", isoflop_plot(fit)


def _compare(axes: Axes, law: TextLaw, ladder: Ladder) -> None:
    compute = np.geomspace(ladder.rungs[0].compute, 2 * _budgets(ladder)[-1], 24)
    best = [{optimum.vocab_size: optimum.bits_per_byte for optimum in optima(law, ladder.family, c)} for c in compute]
    for vocabulary in law.vocabularies:
        axes.plot(compute, [each[vocabulary.vocab_size] for each in best], label=str(vocabulary.vocab_size))
    axes.set(xscale="log", xlabel="compute with the head, FLOPs", ylabel="bits per byte of the optimum")


def _predicted(axes: Axes, law: TextLaw, tables: Mapping[int, Runs]) -> None:
    ends: list[float] = []
    for vocabulary in law.vocabularies:
        values: Mapping[str, Any] = tables[vocabulary.vocab_size].values
        predicted = [vocabulary.predict(n, d).loss for n, d in zip(values["n"], values["d"], strict=True)]
        axes.plot(predicted, values["loss"], "o", markersize=4, label=str(vocabulary.vocab_size))
        ends += [*predicted, *values["loss"]]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="black", linewidth=0.8)
    axes.set(xlabel="bits per byte by the law", ylabel="bits per byte of the training")
