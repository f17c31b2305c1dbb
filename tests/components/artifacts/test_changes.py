"""What fine-tuning changed, as its table."""

from pathlib import Path

import pytest

from components.artifacts import Change, Changes
from components.errors import DamagedArtifact, MissingArtifact

CHANGES = Changes(rows=(Change(measure="answer_loss", kind="all", before=2.0, after=1.5, after_low=1.25, after_high=1.75),))


def test_changes_come_back_as_they_were(tmp_path: Path) -> None:
    CHANGES.write(tmp_path)
    assert Changes.read(tmp_path) == CHANGES


def test_a_checkpoint_without_them_is_missing_something_and_one_with_other_bytes_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"metrics/alignment\.parquet: missing; written by fine-tuning"):
        Changes.read(tmp_path)
    CHANGES.write(tmp_path)
    (tmp_path / Changes.NAME).write_bytes(b"no table")
    with pytest.raises(DamagedArtifact, match=r"metrics/alignment\.parquet"):
        Changes.read(tmp_path)
