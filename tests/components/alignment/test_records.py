"""Lines of conversations and pairs, written and read back."""

from pathlib import Path

import pytest

from components.alignment.records import PreferencePair, identifier, read_conversations, read_pairs, write_records
from components.errors import DamagedArtifact, MissingArtifact

PAIR = PreferencePair(id="1", kind="user", prompt="p\u2028", chosen="c", rejected="错", source="s", group="g")


def test_pairs_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    write_records("preference_pairs", {"train": [PAIR, PAIR], "validation": []}, tmp_path)
    assert read_pairs(tmp_path, "train") == [PAIR, PAIR]
    assert read_pairs(tmp_path, "validation") == []


def test_a_missing_file_and_a_file_of_something_else_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"train\.jsonl: missing"):
        read_pairs(tmp_path, "train")
    write_records("preference_pairs", {"train": [PAIR], "validation": []}, tmp_path)
    with pytest.raises(DamagedArtifact, match=r"train\.jsonl: not lines of Conversation"):
        read_conversations(tmp_path, "train")
    (tmp_path / "train.jsonl").write_text('{"id": "1", "kind')
    with pytest.raises(DamagedArtifact, match=r"train\.jsonl: not lines of PreferencePair"):
        read_pairs(tmp_path, "train")


def test_an_identifier_keeps_its_parts_apart() -> None:
    assert identifier("ab", "c") == identifier("ab", "c") != identifier("a", "bc")
    assert identifier(1) != identifier("1")
