"""Tables that an artifact holds as Parquet files, one typed row each: written by one step, read by another."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from components.errors import DamagedArtifact, MissingArtifact

if TYPE_CHECKING:
    import pyarrow as pa

Row = TypeVar("Row")


def read_rows(kind: type[Row], path: Path, step: str) -> list[Row]:
    """The rows of a table: a dataclass of texts and numbers each, whose fields are its columns; further columns are not read.

    Raises:
        MissingArtifact: there is no such file; the message says which `step` writes it.
        DamagedArtifact: it is no Parquet file, or a column is missing, of another type, or empty somewhere.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    remedy, schema = f"{step} writes it: run that again", _schema(kind)
    try:
        # Of the file alone: a name such as a=b among its directories is no column
        with pq.ParquetFile(path) as file:
            table = file.read(columns=schema.names).select(schema.names)
        # Dictionaries are texts, and a narrow number is a number
        rows = table.cast(schema).to_pylist()
    except FileNotFoundError as error:
        raise MissingArtifact(f"{path}: missing; {remedy}") from error
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        raise DamagedArtifact(f"{path}: not a table of {', '.join(schema.names)} ({error}); {remedy}") from error
    return [kind(**row) for row in rows]


def write_rows(kind: type[Row], rows: "list[Row] | tuple[Row, ...]", path: Path) -> None:
    """Write such a table; its directory is made where it is not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    values: list[dict[str, object]] = [{name: getattr(row, name) for name in _schema(kind).names} for row in rows]
    pq.write_table(pa.Table.from_pylist(values, schema=_schema(kind)), path, compression="zstd")


def _schema(kind: Any) -> "pa.Schema":
    import pyarrow as pa

    types: Mapping[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    return pa.schema([pa.field(field.name, types[field.type], nullable=False) for field in dataclasses.fields(kind)])
