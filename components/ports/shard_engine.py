"""Work on many shards at once, and the two global steps: exchange by key, and reduce.

Shards are small picklable descriptions (paths, row ranges); the rows themselves stay in files,
so no process ever needs to hold the corpus.
"""

import functools
import itertools
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.ports import interim

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def ignore(done: int) -> None:
    """Tell nobody how many shards are done."""


class ShardEngine(Protocol):
    """Runs a function over shards, on this machine or many. Results never depend on the number of workers."""

    overhead_seconds: float
    """Wall time spent in the engine while no worker was inside `work`."""

    def map_shards(
        self,
        work: Callable[[Shard], Result],
        shards: Sequence[Shard],
        *,
        description: str,
        finished: Callable[[int], None] = ignore,
    ) -> list[Result]:
        """Call `work` on every shard; results in the order of `shards`.

        `work` is picklable (an importable function or a `functools.partial` of one), its results are small;
        tables go through files. A `LongrunError` of `work` is raised again as it is.
        `finished` is called here, in the caller's process, with the number of leading shards that are done.
        """
        ...

    def exchange(self, tables: Sequence[Path], *, key: str, partitions: int, output: Path) -> list[Path]:
        """Bring rows of equal `key` into one of `partitions` interim tables below `output`, in the order of partitions.

        An integer key goes to partition `key % partitions`, a string by its hash. Rows of a partition are sorted by all
        columns, so the bytes do not depend on the order of `tables` or of workers.
        """
        ...

    def reduce(self, combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
        """Combine `values` pairwise with an associative function, left to right. Raises `ValueError` if empty."""
        ...


@dataclass
class InProcessShardEngine:
    """Runs shards one after the other in this process."""

    overhead_seconds: float = field(default=0.0, init=False)

    def map_shards(
        self,
        work: Callable[[Shard], Result],
        shards: Sequence[Shard],
        *,
        description: str,
        finished: Callable[[int], None] = ignore,
    ) -> list[Result]:
        """Call `work` on every shard, in order."""
        results = []
        for shard in shards:
            results.append(work(shard))
            finished(len(results))
        return results

    def exchange(self, tables: Sequence[Path], *, key: str, partitions: int, output: Path) -> list[Path]:
        """See `exchange_through_files`."""
        return exchange_through_files(self, tables, key=key, partitions=partitions, output=output)

    def reduce(self, combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
        """Fold the values from the left."""
        return fold(combine, values)


def fold(combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
    """Combine the values from the left. Raises `ValueError` if there are none."""
    if not values:
        raise ValueError("reduce of no values")
    return functools.reduce(combine, values)


def exchange_through_files(engine: ShardEngine, tables: Sequence[Path], *, key: str, partitions: int, output: Path) -> list[Path]:
    """A shuffle made of two maps with files between them: sort each table by partition, then join each partition.

    Between them a table is one Arrow file with a batch for each partition, so that there are as many files as tables and not as
    tables times partitions. Holds one table or one partition in memory at a time, in each worker. A single partition needs no
    sorting of tables.
    """
    output.mkdir(parents=True, exist_ok=True)
    parts = [output / f"part-{number:05d}{interim.SUFFIX}" for number in range(partitions)]
    if partitions == 1 and tables:
        engine.map_shards(_join_tables, [(list(tables), parts[0])], description=f"join by {key}")
        return parts
    between = output / "between"
    between.mkdir(exist_ok=True)
    named = [(table, between / f"{number:05d}{interim.SUFFIX}") for number, table in enumerate(tables)]
    engine.map_shards(functools.partial(_split, key=key, partitions=partitions), named, description=f"split by {key}")
    engine.map_shards(functools.partial(_join_split, between=between), list(enumerate(parts)), description=f"join by {key}")
    shutil.rmtree(between)
    return parts


def _split(shard: tuple[Path, Path], *, key: str, partitions: int) -> None:
    table, path = shard
    write_split(path, interim.read(table), key=key, partitions=partitions)


def write_split(path: Path, table: pa.Table, *, key: str, partitions: int) -> None:
    """Write a table with a batch for each partition, as `exchange` does on its way: `read_split` joins them."""
    target = partition_of(table[key], partitions)
    # Two bytes are sorted by radix.
    narrow = target.astype(np.uint16) if partitions <= 1 << 16 else target
    columns = [column.combine_chunks() for column in table.take(pa.array(np.argsort(narrow, kind="stable"))).columns]
    sizes = np.bincount(target, minlength=partitions)
    with interim.writer(path, table.schema) as output:
        for start, size in zip((np.cumsum(sizes) - sizes).tolist(), sizes.tolist(), strict=True):
            output.write_batch(pa.RecordBatch.from_arrays([one.slice(start, size) for one in columns], schema=table.schema))


def read_split(folder: Path, number: int) -> pa.Table:
    """One partition of all tables that `write_split` wrote in a folder, in the order of their names."""
    return pa.concat_tables([interim.read_batch(path, number) for path in sorted(folder.iterdir())])


def _join_split(shard: tuple[int, Path], *, between: Path) -> None:
    number, target = shard
    _join(read_split(between, number), target)


def _join_tables(shard: tuple[list[Path], Path]) -> None:
    tables, target = shard
    _join(pa.concat_tables([interim.read(table) for table in tables]), target)


def _join(table: pa.Table, target: Path) -> None:
    table = table.combine_chunks()
    interim.write(target, table.take(pa.array(_order(table))))


def _order(table: pa.Table) -> npt.NDArray[np.int64]:
    """The rows sorted by all columns; what the integers before the first other column tell apart is not looked at again."""
    leading = [column.to_numpy() for column in itertools.takewhile(lambda one: pa.types.is_integer(one.type), table.columns)]
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
    """Which rows equal the one before or after them, in sorted columns."""
    same = np.ones(max(0, len(order) - 1), dtype=bool)
    for values in columns:
        ordered = values[order]
        same &= ordered[1:] == ordered[:-1]
    return np.append(same, False)[: len(order)] | np.append(False, same)[: len(order)]


def _order_by_all(table: pa.Table) -> npt.NDArray[np.int64]:
    return pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names]).to_numpy().astype(np.int64)


def partition_of(keys: pa.ChunkedArray, partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key, the same on every machine: integers modulo `partitions`, strings by CRC-32."""
    if pa.types.is_integer(keys.type):
        numbers = keys.to_numpy()
        return (numbers % numbers.dtype.type(partitions)).astype(np.int64)
    encoded = pa.chunked_array(keys).combine_chunks().dictionary_encode()
    hashes = np.array([zlib.crc32(str(value).encode()) for value in encoded.dictionary.to_pylist()], dtype=np.int64)
    return (hashes % partitions)[encoded.indices.to_numpy()]
