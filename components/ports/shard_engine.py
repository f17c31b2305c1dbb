"""Runs functions over many shards, and the two global operations: exchange by key, and reduce.

Shards are small picklable descriptions (paths, row ranges). The rows stay in files, so no process has to hold the corpus in
memory.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from components.interim.exchange import exchange_through_files

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def ignore(done: int) -> None:
    """Default for `finished`: does nothing."""


class ShardEngine(Protocol):
    """Runs a function over shards, on one or many machines. Results do not depend on the number of workers."""

    overhead_seconds: float
    """Wall time in seconds spent in the engine while no worker was running `work`."""

    def map_shards(
        self,
        work: Callable[[Shard], Result],
        shards: Sequence[Shard],
        *,
        description: str,
        finished: Callable[[int], None] = ignore,
    ) -> list[Result]:
        """Call `work` on every shard; returns the results in the order of `shards`.

        `work` must be picklable (an importable function or a `functools.partial` of one) and return small results; tables go
        through files. A `LongrunError` that `work` raises is raised unchanged. `finished` is called in the caller's process with
        n whenever the first n shards are done.
        """
        ...

    def exchange(self, tables: Sequence[Path], *, key: str, partitions: int, output: Path) -> list[Path]:
        """Group the rows of interim tables by `key`: write `partitions` tables below `output` and return their paths in order.

        Rows with an integer key go to partition `key % partitions`, rows with a string key to the partition of its hash. Rows
        of a partition are sorted by all columns, so the bytes do not depend on the order of `tables` or of workers.
        """
        ...

    def reduce(self, combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
        """Combine `values` pairwise with an associative function, left to right. Raises `ValueError` if empty."""
        ...


@dataclass
class InProcessShardEngine:
    """Processes the shards one after the other in this process."""

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
        return exchange_through_files(self.map_shards, tables, key=key, partitions=partitions, output=output)

    def reduce(self, combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
        """See `fold`."""
        return fold(combine, values)


def fold(combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
    """Combine the values pairwise, left to right. Raises `ValueError` if there are none."""
    if not values:
        raise ValueError("reduce of no values")
    return functools.reduce(combine, values)
