"""Writes and joins Parquet tables, and reads columns as arrays."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

GROUP_ROWS = 1 << 16
"""Approximate number of rows in a row group of a joined table."""


@contextlib.contextmanager
def writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Open a Parquet file for writing in several parts; if nothing is written, it is an empty table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression=_codec(schema)) as opened:
        yield opened


def _codec(schema: pa.Schema) -> str:
    """lz4 for interim tables with texts, which many steps read: half the time of zstd, at 1.5 times the size; zstd for others."""
    return "lz4" if {"document", "text"} <= {*schema.names} else "zstd"


def write(path: Path, table: pa.Table) -> None:
    """Write a whole table to a Parquet file."""
    with writer(path, table.schema) as opened:
        opened.write_table(table)


def join(path: Path, schema: pa.Schema, files: Iterable[Path]) -> None:
    """Write the rows of several tables to one file, in order; memory holds one of them and up to `GROUP_ROWS` rows of others."""
    waiting, rows = [schema.empty_table()], 0
    with writer(path, schema) as opened:
        for file in files:
            waiting.append(pq.read_table(file))
            rows += waiting[-1].num_rows
            if rows >= GROUP_ROWS:
                opened.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting, rows = [schema.empty_table()], 0
        opened.write_table(pa.concat_tables(waiting).combine_chunks())


def version_of(path: Path) -> tuple[int, ...]:
    """A value that changes when the file is written again: its modification time, size and inode."""
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def columns(table: pa.Table, *names: str) -> tuple[npt.NDArray[Any], ...]:
    """The named columns as arrays."""
    return tuple(table[name].to_numpy() for name in names)


def with_trimmed(texts: pa.Table, trimmed: pa.Table) -> pa.Table:
    """The `TEXTS` with the text and size of trimmed documents replaced by those in `TRIMMED`."""
    if not trimmed.num_rows:
        return texts
    listed, document = trimmed["document"].to_numpy(), texts["document"].to_numpy()
    index = np.minimum(np.searchsorted(listed, document), len(listed) - 1)
    hit = pa.array(listed[index] == document)
    for name in ("text", "bytes"):
        column = pc.if_else(hit, trimmed[name].take(pa.array(index)), texts[name])
        texts = texts.set_column(texts.column_names.index(name), name, column)
    return texts
