"""What every shard engine promises: a suite that the tests of each implementation inherit."""

import math
import operator
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components import interim
from components.errors import SourceError
from components.ports import ShardEngine


def refuse_odd(number: int) -> int:
    """Work that refuses some shards."""
    if number % 2:
        raise SourceError(f"shard {number} is odd")
    return number


def write_number(number: int, *, directory: Path) -> Path:
    """Work that leaves a file."""
    path = directory / f"{number}.txt"
    path.write_text(str(number))
    return path


def table(path: Path, **columns: list[Any]) -> Path:
    return interim.write(path, pa.table(columns))


class ShardEngineSuite:
    """Inherit it and give an `engine` fixture."""

    def test_results_come_in_the_order_of_the_shards(self, engine: ShardEngine) -> None:
        assert engine.map_shards(math.sqrt, [float(n * n) for n in range(20)], description="roots") == list(range(20))

    def test_no_shards_give_no_results(self, engine: ShardEngine) -> None:
        assert engine.map_shards(math.sqrt, [], description="nothing") == []

    def test_any_picklable_shard_and_result_passes_through(self, engine: ShardEngine) -> None:
        shards: list[Any] = [None, {"a": (1, 2.5)}, Path("/x"), b"\0", "é", [1], Counter("aab")]
        assert engine.map_shards(operator.itemgetter(0), [[shard] for shard in shards], description="as it is") == shards

    def test_work_shares_files_and_not_memory(self, engine: ShardEngine, tmp_path: Path) -> None:
        paths = engine.map_shards(partial(write_number, directory=tmp_path), [3, 1, 2], description="write")
        assert [path.read_text() for path in paths] == ["3", "1", "2"]

    def test_an_error_of_ours_comes_through_as_it_is_and_the_first_in_order_wins(self, engine: ShardEngine) -> None:
        with pytest.raises(SourceError, match=r"^shard 3 is odd$") as caught:
            engine.map_shards(refuse_odd, [0, 2, 3, 4, 5, 7], description="refuse")
        assert type(caught.value) is SourceError

    def test_another_error_is_not_swallowed(self, engine: ShardEngine) -> None:
        with pytest.raises(Exception, match=r"math domain error|expected a nonnegative input"):
            engine.map_shards(math.sqrt, [1.0, -1.0], description="fail")

    def test_the_caller_hears_how_many_shards_are_done(self, engine: ShardEngine) -> None:
        heard: list[int] = []
        engine.map_shards(math.sqrt, [1.0] * 5, description="hear", finished=heard.append)
        assert heard == [1, 2, 3, 4, 5]

    def test_exchange_brings_equal_keys_together_and_loses_no_row(self, engine: ShardEngine, tmp_path: Path) -> None:
        first = table(tmp_path / "a", key=["x", "y", "x"], value=[3, 2, 1])
        second = table(tmp_path / "b", key=["z", "x"], value=[5, 4])
        partitions = engine.exchange([first, second], key="key", partitions=3, output=tmp_path / "out")
        rows = [interim.read(partition).to_pylist() for partition in partitions]
        assert len(partitions) == 3
        assert sorted((row["key"], row["value"]) for partition in rows for row in partition) == [
            ("x", 1),
            ("x", 3),
            ("x", 4),
            ("y", 2),
            ("z", 5),
        ]
        assert all(sum(any(row["key"] == key for row in partition) for partition in rows) == 1 for key in "xyz")

    def test_an_integer_key_names_its_partition(self, engine: ShardEngine, tmp_path: Path) -> None:
        only = table(tmp_path / "a", key=[7, 0, 2, 5, 1])
        partitions = engine.exchange([only], key="key", partitions=5, output=tmp_path / "out")
        assert [interim.read(partition)["key"].to_pylist() for partition in partitions] == [[0, 5], [1], [2, 7], [], []]

    def test_the_bytes_of_a_partition_do_not_depend_on_how_rows_were_spread(self, engine: ShardEngine, tmp_path: Path) -> None:
        whole = table(tmp_path / "whole", key=[1, 2, 3, 4, 1], text=["b", "c", "d", "e", "a"])
        halves = [
            table(tmp_path / "second", key=[4, 1, 2], text=["e", "b", "c"]),
            table(tmp_path / "first", key=[1, 3], text=["a", "d"]),
        ]
        from_whole = engine.exchange([whole], key="key", partitions=2, output=tmp_path / "one")
        from_halves = engine.exchange(halves, key="key", partitions=2, output=tmp_path / "two")
        assert [path.read_bytes() for path in from_whole] == [path.read_bytes() for path in from_halves]

    def test_exchange_leaves_only_its_partitions(self, engine: ShardEngine, tmp_path: Path) -> None:
        only = table(tmp_path / "a", key=[1, 2])
        partitions = engine.exchange([only], key="key", partitions=2, output=tmp_path / "out")
        assert sorted((tmp_path / "out").iterdir()) == partitions

    def test_reduce_combines_from_left_to_right(self, engine: ShardEngine) -> None:
        assert engine.reduce(operator.add, ["a", "b", "c"]) == "abc"
        assert engine.reduce(operator.add, ["a"]) == "a"

    def test_reduce_of_nothing_is_an_error(self, engine: ShardEngine) -> None:
        with pytest.raises(ValueError, match="reduce of no values"):
            engine.reduce(operator.add, [])
