"""In which split a group is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.alignment.splits import SplitAssignment
from components.errors import DamagedArtifact, MissingArtifact
from tests.components.alignment.conftest import write_groups

GROUPS = st.lists(st.text(max_size=5), unique=True)


def test_the_corpus_decides_before_the_line_and_the_line_before_the_hash(tmp_path: Path) -> None:
    assignment = SplitAssignment.of_corpus(write_groups(tmp_path, {"a": "validation", "b": "train"}), 0.01)
    splits = assignment.assign([("a", "train"), ("b", None), ("c", "validation"), ("c", "train"), ("d", None)])
    assert splits == {"a": "validation", "b": "train", "c": "validation", "d": "train"}


@pytest.mark.long
@given(GROUPS, st.floats(0.01, 0.99))
def test_groups_without_a_split_are_held_out_by_hash_about_as_many_as_asked_for(groups: list[str], share: float) -> None:
    assignment = SplitAssignment({}, share)
    splits = assignment.assign((group, None) for group in groups)
    held_out = sum(split == "validation" for split in splits.values())
    assert splits == assignment.assign((group, None) for group in reversed(groups))
    assert held_out == 0 if len(groups) < 2 else share * len(groups) <= held_out < share * len(groups) + 1


def test_a_corpus_without_groups_is_missing_and_one_with_other_bytes_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"groups\.parquet"):
        SplitAssignment.of_corpus(tmp_path, 0.01)
    (tmp_path / "groups.parquet").write_bytes(b"no table")
    with pytest.raises(DamagedArtifact, match=r"groups\.parquet"):
        SplitAssignment.of_corpus(tmp_path, 0.01)
