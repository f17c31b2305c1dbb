"""The control tokens."""

from pathlib import Path

import pytest

from components.errors import DamagedArtifact, MissingArtifact
from components.tokenizer import special_tokens
from components.tokenizer.special_tokens import SpecialTokens


def test_there_are_as_many_distinct_names_as_asked_for() -> None:
    names = special_tokens.names(15)
    assert len(set(names)) == 15
    assert names[:2] == ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]


def test_ids_follow_the_regular_tokens_as_in_the_model_of_the_paper() -> None:
    special = special_tokens.after(100_000, 102_400)
    assert (special.bos, special.eos) == (100_000, 100_001)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    special = special_tokens.after(700, 768)
    special.write(tmp_path)
    assert SpecialTokens.read(tmp_path) == special


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"special_tokens\.json: no tokenizer here"):
        SpecialTokens.read(tmp_path)


@pytest.mark.parametrize("content", ["{", '{"bos": 1}', "[]", '{"beginning": 1}'])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "special_tokens.json").write_text(content)
    with pytest.raises(DamagedArtifact, match=r"special_tokens\.json: not the ids of special tokens"):
        SpecialTokens.read(tmp_path)
