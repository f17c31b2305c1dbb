"""Reads and writes the Parquet tables of artifacts as typed rows."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from components.errors import DamagedArtifact, MissingArtifact

if TYPE_CHECKING:
    import pyarrow as pa

Row = TypeVar("Row")


def read_rows(kind: type[Row], path: Path, step: str) -> list[Row]:
    """Read the rows of a table as dataclasses of strings and numbers; the fields of `kind` are the columns that are read.

    Raises:
        MissingArtifact: the file does not exist; the message says which `step` writes it.
        DamagedArtifact: it is not a Parquet file, or a column is missing, of the wrong type, or has null values.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    remedy, schema = f"written by {step}: run that again", _schema(kind)
    try:
        # ParquetFile, not read_table, which would turn a directory named a=b into a column
        with pq.ParquetFile(path) as file:
            table = file.read(columns=schema.names).select(schema.names)
        # The cast accepts dictionary-encoded strings and narrower numbers
        rows = table.cast(schema).to_pylist()
    except FileNotFoundError as error:
        raise MissingArtifact(f"{path}: missing; {remedy}") from error
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        raise DamagedArtifact(f"{path}: not a table with the columns {', '.join(schema.names)} ({error}); {remedy}") from error
    return [kind(**row) for row in rows]


def write_rows(kind: type[Row], rows: "list[Row] | tuple[Row, ...]", path: Path) -> None:
    """Write rows of class `kind` as a table; creates its directory if needed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    values: list[dict[str, object]] = [{name: getattr(row, name) for name in _schema(kind).names} for row in rows]
    pq.write_table(pa.Table.from_pylist(values, schema=_schema(kind)), path, compression="zstd")


def _schema(kind: Any) -> "pa.Schema":
    import pyarrow as pa

    types: Mapping[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    return pa.schema([pa.field(field.name, types[field.type], nullable=False) for field in dataclasses.fields(kind)])
