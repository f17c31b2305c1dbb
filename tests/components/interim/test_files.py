"""Tables that pass between steps come back as they were written."""

from pathlib import Path

import pyarrow as pa
import pytest

from components import interim

ROWS = pa.table({"number": [1, 2, 3], "id": ["a", "", "c"], "text": ["long " * 100, "é", ""], "hashes": [b"\0\1", b"", b"x"]})


@pytest.mark.parametrize("columns", [["number"], ["text", "number"], ["hashes", "id", "text"]])
def test_some_columns_come_in_the_order_in_which_they_are_asked_for(columns: list[str], tmp_path: Path) -> None:
    written = interim.write(tmp_path / "a" / "b.arrow", ROWS)
    assert interim.read(written, columns).equals(ROWS.select(columns))
    assert interim.read(written).equals(ROWS)


def test_a_table_written_bit_by_bit_counts_all_its_rows(tmp_path: Path) -> None:
    with interim.writer(tmp_path / "t.arrow", ROWS.schema) as output:
        for _ in range(3):
            output.write_table(ROWS)
    assert interim.rows(tmp_path / "t.arrow") == 9
    assert interim.read(tmp_path / "t.arrow").equals(pa.concat_tables([ROWS] * 3))


def test_nothing_written_is_an_empty_table(tmp_path: Path) -> None:
    with interim.writer(tmp_path / "t.arrow", ROWS.schema):
        pass
    assert interim.rows(tmp_path / "t.arrow") == 0
    assert interim.read(tmp_path / "t.arrow", ["id"]).equals(ROWS.select(["id"]).slice(0, 0))


def test_texts_are_compressed_and_numbers_are_as_they_lie_in_memory(tmp_path: Path) -> None:
    text = pa.table({"text": ["the same words " * 1000] * 50})
    assert interim.write(tmp_path / "t.arrow", text).stat().st_size < text.nbytes / 20
    numbers = pa.table({"text": pa.array([7] * 10_000, pa.uint64())})
    assert interim.write(tmp_path / "n.arrow", numbers).stat().st_size >= numbers.nbytes


def test_what_was_read_outlives_the_deletion_of_its_file(tmp_path: Path) -> None:
    written = interim.write(tmp_path / "t.arrow", pa.table({"number": range(100_000)}))
    table = interim.read(written)
    written.unlink()
    assert table["number"].to_pylist() == list(range(100_000))
