"""Sorts tables by id: rows are gathered in slots, ranges of ids that each fit in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.text.draw import order_of
from components.machine_code import Numbers
from components.ports import ShardEngine

ROW_BYTES = 512
"""Bytes of memory per row while it is sorted."""


def write_sorted(
    files: Sequence[Path], schema: pa.Schema, path: Path, scratch: Path, engine: ShardEngine, *, partitions: int
) -> None:
    """Join tables with slots into one table at `path`, sorted by all columns of `schema`; the first column is an id."""
    with tables.writer(path, schema) as output:
        for gathered in engine.exchange(files, key="slot", partitions=partitions, output=scratch) if files else ():
            output.write_table(interim.read(gathered).select(schema.names))


def slotted(schema: pa.Schema) -> pa.Schema:
    """The schema with a leading column `slot`."""
    return pa.schema([pa.field("slot", pa.int64()), *schema])


def slots_of(identities: pa.ChunkedArray, partitions: int) -> pa.Array:
    """The slot of each id, int64; higher ids are in higher slots."""
    return pa.array([order_of(identity) * partitions >> 64 for identity in identities.to_pylist()], pa.int64())


def partitions_of(files: Sequence[Path], memory: int) -> int:
    """The number of partitions of the rows of `files` such that one fits into `memory` bytes."""
    return max(1, -(-sum(map(interim.rows, files)) * ROW_BYTES // memory))


def starts(*sorted_columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each row differs from the row before it, bool [rows]; true for the first row."""
    differs = np.zeros(len(sorted_columns[0]), dtype=bool)
    differs[:1] = True
    for column in sorted_columns:
        differs[1:] |= column[1:] != column[:-1]
    return differs


def distinct(*rows: Numbers) -> Sequence[Numbers]:
    """The distinct rows, sorted by the first column, then the next."""
    order = np.lexsort(rows[::-1])
    ordered = [column[order] for column in rows]
    first = starts(*ordered)
    return [column[first] for column in ordered]
