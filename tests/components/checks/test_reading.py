"""Reading metrics tables: errors name each way in which a table can be unreadable."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.checks import reading
from components.checks.reading import BatchedTable, metrics_table
from components.errors import DamagedArtifact, MissingArtifact


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"metrics/documents\.parquet: missing; run the step"):
        metrics_table(tmp_path, "documents", ("id",))


def test_a_truncated_table_is_named(corpus: Path) -> None:
    path = corpus / "metrics" / "documents.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedArtifact, match=r"documents\.parquet: not a Parquet file"):
        metrics_table(corpus, "documents", ("id",))


def test_a_missing_column_is_named_with_those_that_exist(corpus: Path) -> None:
    with pytest.raises(DamagedArtifact, match=r"documents\.parquet: missing columns colour; it has id, source"):
        metrics_table(corpus, "documents", ("id", "colour"))


def test_only_the_columns_that_are_asked_for_are_read(corpus: Path) -> None:
    assert list(metrics_table(corpus, "documents", ("id", "kept")).columns) == ["id", "kept"]


def test_a_directory_called_like_a_partition_adds_no_column(corpus: Path, tmp_path: Path) -> None:
    directory = tmp_path / "year=2024"
    corpus.rename(directory)
    assert "year" not in metrics_table(directory, "documents", ("id",)).columns


def test_batches_are_read_in_order_and_as_often_as_one_likes(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = metrics_table(corpus, "documents", ("id", "bytes"))
    monkeypatch.setattr(reading, "BATCH_ROWS", 7)
    batches = BatchedTable(corpus, "documents", ("id", "bytes"))
    for _ in range(2):
        frames = list(batches)
        assert max(len(frame) for frame in frames) == 7
        pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), whole)


def test_an_empty_table_is_one_empty_batch(corpus: Path, spoil: Any) -> None:
    spoil(corpus, "documents", lambda rows: rows.iloc[:0])
    (only,) = BatchedTable(corpus, "documents", ("id", "kept"))
    assert (len(only), list(only.columns)) == (0, ["id", "kept"])


def test_batches_of_a_missing_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"metrics/documents\.parquet: missing; run the step"):
        list(BatchedTable(tmp_path, "documents", ("id",)))
