"""Typed rows of Parquet tables: missing or damaged, and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import read_rows, write_rows
from components.errors import DamagedArtifact, MissingArtifact


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A row."""

    name: str
    value: float
    count: int


ROWS = [Measure(name="a", value=0.5, count=1), Measure(name="错", value=-1.0, count=2**40)]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    for rows in (ROWS, []):
        write_rows(Measure, rows, tmp_path / "metrics" / "m.parquet")
        assert read_rows(Measure, tmp_path / "metrics" / "m.parquet", "the test") == rows


def test_other_columns_dictionaries_and_narrow_numbers_are_no_damage(tmp_path: Path) -> None:
    names, counts = pa.array(["a", "a"]).dictionary_encode(), pa.array([1, 2], pa.int8())
    table = pa.table({"colour": ["red", "red"], "count": counts, "value": [0.5, 1.0], "name": names})
    pq.write_table(table, tmp_path / "m.parquet")
    assert [row.count for row in read_rows(Measure, tmp_path / "m.parquet", "the test")] == [1, 2]


def test_a_directory_called_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    write_rows(Measure, ROWS, tmp_path / "name=b" / "m.parquet")
    assert read_rows(Measure, tmp_path / "name=b" / "m.parquet", "the test") == ROWS


def test_a_table_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"m\.parquet: missing; written by the test: run that again"):
        read_rows(Measure, tmp_path / "m.parquet", "the test")


@pytest.mark.parametrize(
    "table",
    [
        {"name": ["a"], "value": [0.5]},
        {"name": ["a"], "value": ["x"], "count": [1]},
        {"name": [None], "value": [0.5], "count": [1]},
        {"name": ["a"], "value": [0.5], "count": [1.5]},
    ],
)
def test_a_table_of_anything_else_is_damaged(table: dict[str, list[object]], tmp_path: Path) -> None:
    pq.write_table(pa.table(table), tmp_path / "m.parquet")
    with pytest.raises(DamagedArtifact, match=r"m\.parquet: not a table with the columns name, value, count \("):
        read_rows(Measure, tmp_path / "m.parquet", "the test")


def test_bytes_that_are_no_table_are_damaged(tmp_path: Path) -> None:
    write_rows(Measure, ROWS, tmp_path / "m.parquet")
    whole = (tmp_path / "m.parquet").read_bytes()
    for data in (b"", b"no table", whole[:-9]):
        (tmp_path / "m.parquet").write_bytes(data)
        with pytest.raises(DamagedArtifact):
            read_rows(Measure, tmp_path / "m.parquet", "the test")
