"""Tables are sorted by id in partitions; distinct rows and group starts match Python's sets."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import interim
from components.curation.tables.sorting import ROW_BYTES, distinct, partitions_of, slots_of, slotted, starts, write_sorted
from components.ports import InProcessShardEngine

SCHEMA = pa.schema({"id": pa.string(), "value": pa.int64()})


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_table_is_sorted_by_id_over_all_its_files(partitions: int, tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).permutation(40)
    ids = [f"{int(number) * 2**64 // 40:016x}" + "0" * 48 for number in numbers]
    files = []
    for number in range(3):
        own = pa.chunked_array([ids[number::3]], pa.string())
        columns = [slots_of(own, partitions), own, pa.array(numbers[number::3])]
        files.append(interim.write(tmp_path / f"{number}.arrow", pa.table(columns, schema=slotted(SCHEMA))))
    path = tmp_path / "sorted.parquet"
    write_sorted(files, SCHEMA, path, tmp_path / "scratch", InProcessShardEngine(), partitions=partitions)
    assert pq.read_table(path).equals(pa.table({"id": sorted(ids), "value": range(40)}, schema=SCHEMA))


def test_no_files_give_an_empty_table(tmp_path: Path) -> None:
    write_sorted([], SCHEMA, tmp_path / "s.parquet", tmp_path / "scratch", InProcessShardEngine(), partitions=1)
    assert pq.read_table(tmp_path / "s.parquet").equals(SCHEMA.empty_table())


def test_there_are_as_many_partitions_as_the_rows_need_and_one_at_least(tmp_path: Path) -> None:
    file = interim.write(tmp_path / "t.arrow", pa.table({"number": range(10)}))
    assert [partitions_of([file], memory) for memory in (10 * ROW_BYTES, 10 * ROW_BYTES - 1, ROW_BYTES)] == [1, 2, 10]
    assert partitions_of([], 1) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_distinct_rows_come_sorted_and_each_starts_once(rows: list[tuple[int, int]]) -> None:
    first, second = (np.array([row[column] for row in rows], dtype=np.int64) for column in (0, 1))
    assert list(zip(*(column.tolist() for column in distinct(first, second)), strict=True)) == sorted(set(rows))
    ordered = np.array(sorted(rows), dtype=np.int64).reshape(-1, 2)
    assert starts(ordered[:, 0], ordered[:, 1]).sum() == len(set(rows))
