"""Interim tables: what passes from one step to the next, as Arrow files that lie on disk as they lie in memory.

They are read once or twice and then deleted, so that nothing is gained by encoding them as Parquet: finding near-duplicates takes
0.9 times the processor time with them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

SUFFIX = ".arrow"


@contextlib.contextmanager
def writer(path: Path, schema: pa.Schema) -> Iterator[pa.ipc.RecordBatchFileWriter]:
    """A table that is written in batches; an empty one if nothing is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_file(str(path), schema, options=pa.ipc.IpcWriteOptions(compression=_compression(schema))) as opened:
        yield opened


def write(path: Path, table: pa.Table) -> Path:
    """Write a whole table; its path."""
    with writer(path, table.schema) as opened:
        opened.write_table(table)
    return path


def read(path: Path, columns: Sequence[str] = ()) -> pa.Table:
    """A table, or some of its columns in their order. What is not compressed stays in the file until it is looked at: nobody may
    write there while the table is in use."""
    with _opened(path) as opened:
        if not columns:
            return opened.read_all()
        wanted = sorted(opened.schema.get_field_index(name) for name in columns)
    with _opened(path, wanted) as opened:
        return opened.read_all().select(list(columns))


def read_batch(path: Path, number: int) -> pa.Table:
    """One of the batches in which a table was written."""
    with _opened(path) as opened:
        return pa.Table.from_batches([opened.get_batch(number)])


def rows(path: Path) -> int:
    """How many rows a table has; only its first column is looked at."""
    with _opened(path, [0]) as opened:
        return sum(opened.get_batch(number).num_rows for number in range(opened.num_record_batches))


@contextlib.contextmanager
def _opened(path: Path, fields: list[int] | None = None) -> Iterator[pa.ipc.RecordBatchFileReader]:
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file, options=options) as opened:
        yield opened


def _compression(schema: pa.Schema) -> str | None:
    """Texts become smaller; numbers, hashes and ids are few or do not."""
    index = schema.get_field_index("text")
    kind = schema.types[index] if index >= 0 else None
    return "lz4" if kind in (pa.string(), pa.large_string()) else None
