"""Reads what checks look at: metrics tables of an artifact."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import DamagedArtifact, MissingArtifact

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH_ROWS = 200_000
"""Rows of a batch: some 300 MB while Great Expectations looks at documents."""


@dataclass(frozen=True)
class BatchedTable:
    """A metrics table of any number of rows, of which a batch is in memory at a time: at least one batch, and in order."""

    artifact: Path
    name: str
    required: Sequence[str]
    change: "Callable[[pd.DataFrame], pd.DataFrame] | None" = None
    """Applied to each batch."""

    def changed(self, change: "Callable[[pd.DataFrame], pd.DataFrame]") -> "BatchedTable":
        """The same table, with `change` applied to each batch: it adds columns or leaves out rows."""
        assert self.change is None
        return replace(self, change=change)

    def __iter__(self) -> "Iterator[pd.DataFrame]":
        """Read it, from the start; raises what `arrow_table` raises."""
        with _opened(self.artifact, self.name, self.required) as table:
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=list(self.required)):
                yield self._frame(batch)
            if not table.metadata.num_rows:
                yield self._frame(table.schema_arrow.empty_table().select(list(self.required)))

    def _frame(self, rows: "pa.RecordBatch | pa.Table") -> "pd.DataFrame":
        frame = rows.to_pandas()
        return self.change(frame) if self.change else frame


def metrics_table(artifact: Path, name: str, required: Sequence[str]) -> "pd.DataFrame":
    """Those columns of `metrics/NAME.parquet`; others, such as the URI of every document, are not read.

    Raises what `arrow_table` raises.
    """
    return _read(artifact, name, required, list(required)).to_pandas()


def arrow_table(artifact: Path, name: str, required: Sequence[str]) -> "pa.Table":
    """The table with all its columns, in Arrow, which distinguishes null from NaN.

    Raises:
        MissingArtifact: there is no such table.
        DamagedArtifact: it is no Parquet file, or it lacks a column.
    """
    return _read(artifact, name, required, None)


def _read(artifact: Path, name: str, required: Sequence[str], columns: list[str] | None) -> "pa.Table":
    with _opened(artifact, name, required) as table:
        return table.read(columns)


@contextmanager
def _opened(artifact: Path, name: str, required: Sequence[str]) -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = artifact / "metrics" / f"{name}.parquet"
    try:
        # One file, so no columns are inferred from the names of its directories.
        with pq.ParquetFile(path) as opened:
            names = opened.schema_arrow.names
            if missing := sorted(set(required) - set(names)):
                raise DamagedArtifact(f"{path}: no column {', '.join(missing)}; it has {', '.join(names)}")
            yield opened
    except FileNotFoundError as error:
        raise MissingArtifact(f"{path}: missing; run the step that writes it again") from error
    except pa.ArrowInvalid as error:
        raise DamagedArtifact(f"{path}: not a Parquet file ({error}); run the step that writes it again") from error
