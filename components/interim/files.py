"""Reads and writes interim tables: temporary Arrow files whose layout on disk is the layout in memory.

They are read once or twice and then deleted, so encoding them as Parquet would not pay: finding near-duplicates takes 0.9 times
the processor time that it takes with Parquet.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

SUFFIX = ".arrow"


@contextlib.contextmanager
def writer(path: Path, schema: pa.Schema) -> Iterator[pa.ipc.RecordBatchFileWriter]:
    """Yield a writer for a table that is written in batches. Without batches the table is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_file(str(path), schema, options=pa.ipc.IpcWriteOptions(compression=_compression(schema))) as opened:
        yield opened


def write(path: Path, table: pa.Table) -> Path:
    """Write a whole table and return its path."""
    with writer(path, table.schema) as opened:
        opened.write_table(table)
    return path


def read(path: Path, columns: Sequence[str] = ()) -> pa.Table:
    """Read a table, or only `columns`, in that order.

    Uncompressed columns are memory-mapped: no process may write to the file while the table is in use.
    """
    with _opened(path) as opened:
        if not columns:
            return opened.read_all()
        wanted = sorted(opened.schema.get_field_index(name) for name in columns)
    with _opened(path, wanted) as opened:
        return opened.read_all().select(list(columns))


def read_batch(path: Path, number: int) -> pa.Table:
    """Read one of the batches in which a table was written, by its number from 0."""
    with _opened(path) as opened:
        return pa.Table.from_batches([opened.get_batch(number)])


def rows(path: Path) -> int:
    """Number of rows of a table; reads only its first column."""
    with _opened(path, [0]) as opened:
        return sum(opened.get_batch(number).num_rows for number in range(opened.num_record_batches))


@contextlib.contextmanager
def _opened(path: Path, fields: list[int] | None = None) -> Iterator[pa.ipc.RecordBatchFileReader]:
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file, options=options) as opened:
        yield opened


def _compression(schema: pa.Schema) -> str | None:
    """lz4 for tables with a column `text`; numbers, hashes and ids are not worth compressing."""
    index = schema.get_field_index("text")
    kind = schema.types[index] if index >= 0 else None
    return "lz4" if kind in (pa.string(), pa.large_string()) else None
