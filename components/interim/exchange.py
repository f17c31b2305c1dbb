"""The shuffle: groups the rows of many tables by key, through files, so that no process has to hold all tables in memory."""

import functools
import itertools
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.interim import files as interim

MapShards = Callable[..., list[Any]]
"""Type of `ShardEngine.map_shards`, which cannot be imported here because its module imports this one."""


def exchange_through_files(
    map_shards: MapShards, tables: Sequence[Path], *, key: str, partitions: int, output: Path
) -> list[Path]:
    """Shuffle tables in two maps, with files between them: split each table by partition, then join and sort each partition.

    Returns the paths of the partitions, in order. An intermediate file holds one table with one batch per partition, so there are
    only as many files as tables. Each worker holds one table or one partition in memory at a time. With a single partition, the
    first map is skipped.
    """
    output.mkdir(parents=True, exist_ok=True)
    paths = [output / f"part-{number:05d}{interim.SUFFIX}" for number in range(partitions)]
    if partitions == 1 and tables:
        map_shards(_join_tables, [(list(tables), paths[0])], description=f"join by {key}")
        return paths
    between = output / "between"
    between.mkdir(exist_ok=True)
    work = [(table, between / f"{number:05d}{interim.SUFFIX}") for number, table in enumerate(tables)]
    map_shards(functools.partial(_partition, key=key, partitions=partitions), work, description=f"split by {key}")
    map_shards(functools.partial(_join_partition, between=between), list(enumerate(paths)), description=f"join by {key}")
    shutil.rmtree(between)
    return paths


def _partition(shard: tuple[Path, Path], *, key: str, partitions: int) -> None:
    table, path = shard
    write_partitions(path, interim.read(table), key=key, partitions=partitions)


def write_partitions(path: Path, table: pa.Table, *, key: str, partitions: int) -> None:
    """Write a table as a file with one batch per partition, which `read_partition` reads."""
    target = partition_of(table[key], partitions)
    # numpy's stable sort of 16-bit integers is a radix sort.
    narrow = target.astype(np.uint16) if partitions <= 1 << 16 else target
    columns = [column.combine_chunks() for column in table.take(pa.array(np.argsort(narrow, kind="stable"))).columns]
    sizes = np.bincount(target, minlength=partitions)
    with interim.writer(path, table.schema) as output:
        for start, size in zip((np.cumsum(sizes) - sizes).tolist(), sizes.tolist(), strict=True):
            output.write_batch(pa.RecordBatch.from_arrays([column.slice(start, size) for column in columns], schema=table.schema))


def read_partition(directory: Path, number: int) -> pa.Table:
    """One partition of all tables that `write_partitions` wrote in a directory, joined in the order of the file names."""
    return pa.concat_tables([interim.read_batch(path, number) for path in sorted(directory.iterdir())])


def read_sorted_partition(directory: Path, number: int) -> pa.Table:
    """One partition as in `read_partition`, sorted by all columns; equal to the table that an exchange writes."""
    return _sorted(read_partition(directory, number))


def _join_partition(shard: tuple[int, Path], *, between: Path) -> None:
    number, target = shard
    interim.write(target, read_sorted_partition(between, number))


def _join_tables(shard: tuple[list[Path], Path]) -> None:
    tables, target = shard
    interim.write(target, _sorted(pa.concat_tables([interim.read(table) for table in tables])))


def _sorted(table: pa.Table) -> pa.Table:
    table = table.combine_chunks()
    return table.take(pa.array(_order(table)))


def _order(table: pa.Table) -> npt.NDArray[np.int64]:
    """Row numbers sorted by all columns.

    Sorts by the leading integer columns first, and compares the remaining columns only for rows that are equal in these.
    """
    integers = itertools.takewhile(lambda column: pa.types.is_integer(column.type), table.columns)
    leading = [column.to_numpy() for column in integers]
    if not leading:
        return _order_by_all(table)
    order = np.argsort(leading[0])
    tied = _tied(order, leading[:1])
    if len(leading) > 1 and tied.any():
        rows = order[tied]
        order[tied] = rows[np.lexsort([values[rows] for values in reversed(leading)])]
        tied = _tied(order, leading)
    if len(leading) < table.num_columns and tied.any():
        rows = order[tied]
        order[tied] = rows[_order_by_all(table.take(pa.array(rows)))]
    return order


def _tied(order: npt.NDArray[np.int64], columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Which rows, in the order `order`, are equal to the row before or after them in all `columns`."""
    same = np.ones(max(0, len(order) - 1), dtype=bool)
    for values in columns:
        ordered = values[order]
        same &= ordered[1:] == ordered[:-1]
    return np.append(same, False)[: len(order)] | np.append(False, same)[: len(order)]


def _order_by_all(table: pa.Table) -> npt.NDArray[np.int64]:
    return pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names]).to_numpy().astype(np.int64)


def partition_of(keys: pa.ChunkedArray, partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key: an integer modulo `partitions`, a string's CRC-32 modulo `partitions`."""
    if pa.types.is_integer(keys.type):
        numbers = keys.to_numpy()
        return (numbers % numbers.dtype.type(partitions)).astype(np.int64)
    encoded = pa.chunked_array(keys).combine_chunks().dictionary_encode()
    hashes = np.array([zlib.crc32(str(value).encode()) for value in encoded.dictionary.to_pylist()], dtype=np.int64)
    return (hashes % partitions)[encoded.indices.to_numpy()]
