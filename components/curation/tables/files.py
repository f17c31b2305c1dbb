"""Tables written to Parquet files and joined, and their columns as arrays."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

JOINED = 1 << 16
"""Rows of a group of a joined table, about."""


@contextlib.contextmanager
def writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A Parquet file that is written bit by bit; an empty table if nothing is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression=_codec(schema)) as opened:
        yield opened


def _codec(schema: pa.Schema) -> str:
    """lz4 for texts on their way through the steps, which all read them: half the time of zstd, and 1.5 times the size."""
    return "lz4" if {"document", "text"} <= {*schema.names} else "zstd"


def write(path: Path, table: pa.Table) -> None:
    """Write a whole table."""
    with writer(path, table.schema) as opened:
        opened.write_table(table)


def join(path: Path, schema: pa.Schema, files: Iterable[Path]) -> None:
    """Write the rows of some tables one after another, holding no more than one and about `JOINED` rows of others."""
    waiting, rows = [schema.empty_table()], 0
    with writer(path, schema) as opened:
        for file in files:
            waiting.append(pq.read_table(file))
            rows += waiting[-1].num_rows
            if rows >= JOINED:
                opened.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting, rows = [schema.empty_table()], 0
        opened.write_table(pa.concat_tables(waiting).combine_chunks())


def version_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is written again: when, how many bytes, and which inode."""
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def columns(table: pa.Table, *names: str) -> tuple[npt.NDArray[Any], ...]:
    """Columns as arrays."""
    return tuple(table[name].to_numpy() for name in names)


def with_trimmed(texts: pa.Table, trimmed: pa.Table) -> pa.Table:
    """`TEXTS` in which trimmed documents have the texts and sizes that `TRIMMED` says."""
    if not trimmed.num_rows:
        return texts
    listed, document = trimmed["document"].to_numpy(), texts["document"].to_numpy()
    index = np.minimum(np.searchsorted(listed, document), len(listed) - 1)
    hit = pa.array(listed[index] == document)
    for name in ("text", "bytes"):
        column = pc.if_else(hit, trimmed[name].take(pa.array(index)), texts[name])
        texts = texts.set_column(texts.column_names.index(name), name, column)
    return texts
