"""Reads the metrics tables of an artifact, whole or in batches."""

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
"""Rows in a batch: about 300 MB of memory while Great Expectations validates documents."""


@dataclass(frozen=True)
class BatchedTable:
    """A metrics table that is read in order, one batch in memory at a time; an empty table gives one empty batch."""

    artifact: Path
    name: str
    """The table is `metrics/NAME.parquet`."""
    required: Sequence[str]
    """Columns to read; it is an error if one is missing."""
    change: "Callable[[pd.DataFrame], pd.DataFrame] | None" = None
    """Function applied to each batch."""

    def changed(self, change: "Callable[[pd.DataFrame], pd.DataFrame]") -> "BatchedTable":
        """The same table with `change` applied to each batch, which may add columns or drop rows."""
        assert self.change is None
        return replace(self, change=change)

    def __iter__(self) -> "Iterator[pd.DataFrame]":
        """Read the table from the start. Raises what `arrow_table` raises."""
        with _opened(self.artifact, self.name, self.required) as table:
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=list(self.required)):
                yield self._frame(batch)
            if not table.metadata.num_rows:
                yield self._frame(table.schema_arrow.empty_table().select(list(self.required)))

    def _frame(self, rows: "pa.RecordBatch | pa.Table") -> "pd.DataFrame":
        frame = rows.to_pandas()
        return self.change(frame) if self.change else frame


def metrics_table(artifact: Path, name: str, required: Sequence[str]) -> "pd.DataFrame":
    """The `required` columns of `metrics/NAME.parquet`; other columns, such as the URI of every document, are not read.

    Raises what `arrow_table` raises.
    """
    return _read(artifact, name, required, list(required)).to_pandas()


def arrow_table(artifact: Path, name: str, required: Sequence[str]) -> "pa.Table":
    """The table with all its columns as an Arrow table, which distinguishes null from NaN.

    Raises:
        MissingArtifact: the file does not exist.
        DamagedArtifact: it is not a Parquet file, or a `required` column is missing.
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
        # `ParquetFile` infers no columns from directory names, unlike `read_table`.
        with pq.ParquetFile(path) as opened:
            names = opened.schema_arrow.names
            if missing := sorted(set(required) - set(names)):
                listed = f"{path}: missing columns {', '.join(missing)}; it has {', '.join(names)}"
                raise DamagedArtifact(f"{listed}; run the step that writes it again")
            yield opened
    except FileNotFoundError as error:
        raise MissingArtifact(f"{path}: missing; run the step that writes it again") from error
    except pa.ArrowInvalid as error:
        raise DamagedArtifact(f"{path}: not a Parquet file ({error}); run the step that writes it again") from error
