"""From the training runs of a ladder in several vocabularies to the law of a text, with its report."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.artifacts import Figures
from components.errors import FitRefused
from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.parametric import Parametric, fit_parametric
from components.scaling.fitting.robust import Array
from components.scaling.fitting.runs import Runs, read_runs
from components.scaling.fitting.text_report import write_text_report
from components.scaling.laws.law import Law, LossLaw, allocation
from components.scaling.laws.text_law import FIGURE, SCALE, TextLaw, VocabularyLaw
from components.scaling.sweeps.ladder import Ladder
from components.scaling.sweeps.table import LADDER_COLUMNS, RUNS, read_table, write_table

Row = Mapping[str, str]


def fit_text(
    config: FitConfig,
    *,
    name: str,
    ladder: Ladder,
    runs: Mapping[str, Path],
    output: Path,
    bases: Mapping[str, Path] | None = None,
) -> Figures:
    """Fit the training runs of all vocabularies jointly; E, alpha and beta are shared, A and B are of each vocabulary.

    Writes `text-law.json`, `runs.csv` (every training run), `fit.json`, `report.html` and a PNG for each plot.

    Args:
        config: how to fit.
        name: of the law, and of the text.
        ladder: the trainings, of any vocabulary; the report compares vocabularies by its family.
        runs: a directory with a table of training runs for each vocabulary, by its size.
        output: an empty directory.
        bases: directories of laws; batch and learning rate come from the first, if there is one.

    Raises:
        FitRefused: too few trainings, or trainings by which no joint law can be fitted.
    """
    rows = [row for directory in runs.values() for row in read_table(directory / RUNS)]
    tables = {int(size): read_runs(runs[size] / RUNS, LADDER_COLUMNS) for size in sorted(runs, key=int)}
    joint = _joint(tables, config)
    base = next((Law.read(directory) for directory in (bases or {}).values()), None)
    law = TextLaw(
        name=name,
        source=f"fitted by longrun: {len(rows)} trainings, {config.rounds} bootstrap rounds",
        data=name,
        vocabularies=tuple(
            VocabularyLaw(
                vocab_size=size,
                bytes_per_token=_bytes_per_token(rows, size),
                law=_law(joint.losses[size], tables[size], f"{name}-{size}", name),
            )
            for size in tables
        ),
        sequence_length=int(rows[0]["sequence_length"]),
        aspect=_aspect(rows),
        batch_tokens=base.batch_tokens if base else None,
        learning_rate=base.learning_rate if base else None,
    )
    law.write(output)
    write_table(rows, output / RUNS)
    alone = {size: _alone(table, config) for size, table in tables.items()}
    return write_text_report(law, joint, alone, tables=tables, ladder=ladder, config=config, output=output)


def _joint(tables: Mapping[int, Runs], config: FitConfig) -> Parametric:
    def column(name: str) -> Array:
        return np.concatenate([table.values[name] for table in tables.values()])

    group = np.concatenate([np.full(len(table), float(size)) for size, table in tables.items()])
    n, d, loss = (column(name) for name in ("n", "d", "loss"))
    return fit_parametric(n, d, loss, group=group, rounds=config.rounds, seed=config.seed, leave_out=config.leave_out)


def _alone(table: Runs, config: FitConfig) -> Fit | str:
    """The fits of one vocabulary by itself, which the report shows beside the joint one; the reason where there are none."""
    try:
        return fit(table, config)
    except FitRefused as refusal:
        return str(refusal)


def _law(loss: LossLaw, table: Runs, name: str, data: str) -> Law:
    model, tokens = allocation(loss, 1.0)
    compute = table.values["c"]
    return Law(
        name=name,
        source="fitted by longrun: parametric, jointly with other vocabularies",
        data=data,
        model=model,
        tokens=tokens,
        scale=SCALE,
        fitted=(float(compute.min()), float(compute.max())),
        loss=loss,
        figure=FIGURE,
        runs=tuple(zip(*(table.values[column].tolist() for column in ("n", "d", "loss")), strict=True)),
    )


def _bytes_per_token(rows: list[dict[str, str]], size: int) -> float:
    return next(float(row["bytes_per_token"]) for row in rows if int(row["vocab_size"]) == size)


def _aspect(rows: list[dict[str, str]]) -> tuple[float, float]:
    aspects = [int(row["d_model"]) / int(row["n_layer"]) for row in rows]
    return min(aspects), max(aspects)
