"""Records of conversations and pairs as an artifact holds them."""

from pathlib import Path

import pyarrow.parquet as pq

from components.alignment.records import identifier, write_records
from components.artifacts import PreferencePair

PAIR = PreferencePair(id="1", kind="user", prompt="p", chosen="c", rejected="错", source="s", group="g")


def test_lines_and_a_table_of_their_measures_are_written(tmp_path: Path) -> None:
    write_records(PreferencePair, "preference_pairs", {"train": [PAIR, PAIR], "validation": []}, tmp_path)
    assert PreferencePair.read(tmp_path, "train") == [PAIR, PAIR]
    assert PreferencePair.read(tmp_path, "validation") == []
    assert pq.read_table(tmp_path / "metrics" / "preference_pairs.parquet")["split"].to_pylist() == ["train", "train"]


def test_an_identifier_keeps_its_parts_apart() -> None:
    assert identifier("ab", "c") == identifier("ab", "c") != identifier("a", "bc")
    assert identifier(1) != identifier("1")
