"""Work on many shards at once, and the two global steps: exchange by key, and reduce.

Shards are small picklable descriptions (paths, row ranges); the rows themselves stay in Parquet files,
so no process ever needs to hold the corpus.
"""

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

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
        """Bring rows of equal `key` into one of `partitions` Parquet files below `output`, in the order of partitions.

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
    """A shuffle made of two maps with files between them: split each table by key, then join the parts of each partition.

    Holds one table or one partition in memory at a time, in each worker. A single partition needs no splitting.
    """
    output.mkdir(parents=True, exist_ok=True)
    parts = [output / f"part-{number:05d}.parquet" for number in range(partitions)]
    if partitions == 1 and tables:
        engine.map_shards(_join, [(list(tables), parts[0])], description=f"join by {key}")
        return parts
    pieces = output / "pieces"
    pieces.mkdir(exist_ok=True)
    named = [(table, pieces / f"{number:05d}") for number, table in enumerate(tables)]
    engine.map_shards(functools.partial(_split, key=key, partitions=partitions), named, description=f"split by {key}")
    joins = [([base / f"{number:05d}.parquet" for _, base in named], part) for number, part in enumerate(parts)]
    engine.map_shards(_join, joins, description=f"join by {key}")
    for _, base in named:
        for piece in base.iterdir():
            piece.unlink()
        base.rmdir()
    pieces.rmdir()
    return parts


def _split(shard: tuple[Path, Path], *, key: str, partitions: int) -> None:
    source, base = shard
    base.mkdir(exist_ok=True)
    table = pq.read_table(source)
    target = partition_of(table[key], partitions)
    # Two bytes are sorted by radix, four times as fast as eight.
    narrow = target.astype(np.uint16) if partitions <= 1 << 16 else target
    table = table.take(pa.array(np.argsort(narrow, kind="stable")))
    ends = np.cumsum(np.bincount(target, minlength=partitions))
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        _write(table.slice(start, end - start), base / f"{number:05d}.parquet")


def _join(shard: tuple[list[Path], Path]) -> None:
    parts, target = shard
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    _write(table.take(pa.array(_order(table))), target)


def _order(table: pa.Table) -> npt.NDArray[np.int64]:
    """The rows sorted by all columns. Where the first is an integer, rows that it decides are not looked at again: twice as fast
    for keys that mostly differ."""
    head = table.column(0)
    if not pa.types.is_integer(head.type):
        return _order_by_all(table)
    values = head.to_numpy()
    order = np.argsort(values)
    same = values[order][1:] == values[order][:-1]
    tied = np.append(same, False) | np.append(False, same) if len(values) > 1 else np.zeros(len(values), dtype=bool)
    rows = order[tied]
    order[tied] = rows[_order_by_all(table.take(pa.array(rows)))]
    return order


def _order_by_all(table: pa.Table) -> npt.NDArray[np.int64]:
    if all(pa.types.is_integer(column.type) for column in table.schema):
        return np.lexsort([column.to_numpy() for column in reversed(table.columns)])
    return pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names]).to_numpy().astype(np.int64)


def _write(table: pa.Table, path: Path) -> None:
    """Without dictionaries and statistics: most columns are hashes, and each file is read once."""
    pq.write_table(table, path, compression="lz4", use_dictionary=False, write_statistics=False)


def partition_of(keys: pa.ChunkedArray, partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key, the same on every machine: integers modulo `partitions`, strings by CRC-32."""
    if pa.types.is_integer(keys.type):
        numbers = keys.to_numpy()
        return (numbers % numbers.dtype.type(partitions)).astype(np.int64)
    encoded = pa.chunked_array(keys).combine_chunks().dictionary_encode()
    hashes = np.array([zlib.crc32(str(value).encode()) for value in encoded.dictionary.to_pylist()], dtype=np.int64)
    return (hashes % partitions)[encoded.indices.to_numpy()]
