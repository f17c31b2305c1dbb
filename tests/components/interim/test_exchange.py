"""Rows of equal keys meet in one partition, sorted, whatever tables they come from; the suite of the port tests the rest."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import interim
from components.interim.exchange import (
    exchange_through_files,
    partition_of,
    read_partition,
    read_sorted_partition,
    write_partitions,
)


def map_shards(work: Callable[[Any], Any], shards: Sequence[Any], *, description: str) -> list[Any]:
    return [work(shard) for shard in shards]


ROWS = st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from(["", "a", "b"]), st.integers(0, 2))


@pytest.mark.parametrize("names", [("key", "a", "text", "b"), ("text", "key", "a", "b")])
@given(tables=st.lists(st.lists(ROWS, max_size=12), min_size=1, max_size=3), partitions=st.integers(1, 3))
def test_a_partition_holds_its_keys_sorted_by_all_columns(
    names: Sequence[str], tables: list[list[tuple[int, int, str, int]]], partitions: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("exchange")
    columns = ("key", "a", "text", "b")
    rows = [[dict(zip(columns, row, strict=True)) for row in table] for table in tables]
    schema = pa.schema({name: pa.string() if name == "text" else pa.int64() for name in names})
    paths = [interim.write(directory / f"{number}.arrow", pa.Table.from_pylist(own, schema)) for number, own in enumerate(rows)]
    gathered = exchange_through_files(map_shards, paths, key="key", partitions=partitions, output=directory / "out")
    for number, path in enumerate(gathered):
        own = [tuple(row[name] for name in names) for table in rows for row in table if row["key"] % partitions == number]
        assert [tuple(row.values()) for row in interim.read(path).to_pylist()] == sorted(own)


def test_what_is_written_in_partitions_is_read_by_partition_in_the_order_of_files(tmp_path: Path) -> None:
    for name, values in (("b", [5, 2, 3]), ("a", [8, 1])):
        write_partitions(tmp_path / f"{name}.arrow", pa.table({"key": values}), key="key", partitions=3)
    assert [read_partition(tmp_path, number)["key"].to_pylist() for number in range(3)] == [[3], [1], [8, 5, 2]]


def test_a_partition_is_read_sorted_as_an_exchange_would_write_it(tmp_path: Path) -> None:
    values = [("b", [5, 2, 3, 11]), ("a", [8, 1])]
    tables = [pa.table({"key": keys, "text": [str(key % 5) for key in keys]}) for _, keys in values]
    for (name, _), table in zip(values, tables, strict=True):
        write_partitions(tmp_path / "between" / f"{name}.arrow", table, key="key", partitions=3)
    paths = [interim.write(tmp_path / f"{name}.arrow", table) for (name, _), table in zip(values, tables, strict=True)]
    gathered = exchange_through_files(map_shards, paths, key="key", partitions=3, output=tmp_path / "out")
    read = [read_sorted_partition(tmp_path / "between", number) for number in range(3)]
    assert [table.to_pylist() for table in read] == [interim.read(path).to_pylist() for path in gathered]
    assert read[2]["key"].to_pylist() == [2, 5, 8, 11]


def test_partitions_of_strings_are_spread_and_the_same_on_every_machine() -> None:
    keys = pa.chunked_array([[f"key {number}" for number in range(1000)], ["key 0"]])
    partitions = partition_of(keys, 7)
    assert partitions[0] == partitions[-1] == zlib.crc32(b"key 0") % 7 == 4
    assert np.bincount(partitions).min() > 100


def test_partitions_of_large_unsigned_keys_keep_every_bit() -> None:
    assert partition_of(pa.chunked_array([pa.array([2**64 - 1, 2**63], pa.uint64())]), 10).tolist() == [5, 8]


def test_no_keys_have_no_partitions() -> None:
    for kind in (pa.string(), pa.int64()):
        assert partition_of(pa.chunked_array([], kind), 4).tolist() == []
