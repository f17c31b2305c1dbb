"""Writes the history of a training run as a Parquet table, which checks and reports read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.training.checkpoints.files import Row

FIRST = {
    "step": pa.int64(),
    "loss": pa.float64(),
    "learning_rate": pa.float64(),
    "gradient_norm": pa.float64(),
    "tokens": pa.int64(),
}
"""Columns of every training run. Columns added by an objective or a validation follow, sorted by name, as float64."""


def write_history(history: Sequence[Row], path: Path, columns: Mapping[str, npt.NDArray[Any]] | None = None) -> None:
    """Write one row per step, with null for values that a step does not have.

    `columns` has additional columns by name, each with one value per step.
    """
    names = sorted({name for row in history for name in row} - FIRST.keys())
    arrays = {name: pa.array([row.get(name) for row in history], kind) for name, kind in FIRST.items()}
    arrays |= {name: pa.array([row.get(name) for row in history], pa.float64()) for name in names}
    arrays |= {name: pa.array(values) for name, values in (columns or {}).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), path, compression="zstd")
