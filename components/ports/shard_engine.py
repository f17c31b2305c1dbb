"""Work on many shards at once, and the two global steps: exchange by key, and reduce.

Shards are small picklable descriptions (paths, row ranges); the rows themselves stay in files,
so no process ever needs to hold the corpus.
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
    """Do nothing with the number of shards that are done."""


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
        return exchange_through_files(self.map_shards, tables, key=key, partitions=partitions, output=output)

    def reduce(self, combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
        """Fold the values from the left."""
        return fold(combine, values)


def fold(combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
    """Combine the values from the left. Raises `ValueError` if there are none."""
    if not values:
        raise ValueError("reduce of no values")
    return functools.reduce(combine, values)
