"""Implements the shard engine on Ray Data: shards are rows that workers map over; tables are exchanged through shared files."""

import logging
import pickle
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray
import ray.data

from components.errors import LongrunError
from components.extensions import unpack_below
from components.interim.exchange import exchange_through_files
from components.ports.shard_engine import fold, ignore
from infra.variables import UNPACKED, variable

Shard = TypeVar("Shard")
Result = TypeVar("Result")
Interval = tuple[float, float]


@dataclass
class RayShardEngine:
    """Processes shards in workers of the Ray that the caller has initialised; all paths in shards must be absolute."""

    overhead_seconds: float = field(default=0.0, init=False)
    """Wall time of calls during which no worker ran the caller's code."""

    def map_shards(
        self,
        work: Callable[[Shard], Result],
        shards: Sequence[Shard],
        *,
        description: str,
        finished: Callable[[int], None] = ignore,
    ) -> list[Result]:
        """Call `work` on every shard, each in a Ray task of one CPU; returns the results in order."""
        if not shards:
            return []
        started = time.time()
        inside: list[Interval] = []
        results: list[Result] = []
        try:
            for outcome in _outcomes(work, shards, description):
                inside.append((outcome["entered"], outcome["ended"]))
                results.append(_result(outcome))
                finished(len(results))
        finally:
            self.overhead_seconds += time.time() - started - covered(inside)
        return results

    def exchange(self, tables: Sequence[Path], *, key: str, partitions: int, output: Path) -> list[Path]:
        """See `exchange_through_files`. Only paths pass through Ray's object store."""
        return exchange_through_files(self.map_shards, tables, key=key, partitions=partitions, output=output)

    def reduce(self, combine: Callable[[Result, Result], Result], values: Sequence[Result]) -> Result:
        """Fold the values from the left, in this process, because they are small."""
        return fold(combine, values)


def covered(intervals: Iterable[Interval]) -> float:
    """Length of the union of the intervals."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def _outcomes(work: Callable[[Shard], Result], shards: Sequence[Shard], description: str) -> Iterable[dict[str, Any]]:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    rows = [{"shard": pickle.dumps(shard)} for shard in shards]
    with ray.data.DataContext.current(context):
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        dataset.set_name(description)
        return dataset.map(partial(_call, work), num_cpus=1).iter_rows()


def _call(work: Callable[[Shard], Result], row: dict[str, Any]) -> dict[str, Any]:
    """Run in the worker: returns the pickled result or `LongrunError`, and the times at which `work` started and ended."""
    if directory := variable(UNPACKED):
        unpack_below(Path(directory))
    shard = pickle.loads(row["shard"])  # noqa: S301 our own bytes
    entered = time.time()
    try:
        value: object = work(shard)
        failed = False
    except LongrunError as error:
        value, failed = error, True
    return {"value": pickle.dumps(value), "failed": failed, "entered": entered, "ended": time.time()}


def _result(outcome: dict[str, Any]) -> Any:
    value = pickle.loads(outcome["value"])  # noqa: S301 our own bytes
    if outcome["failed"]:
        raise value
    return value
