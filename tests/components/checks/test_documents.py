"""Counts over all documents equal those of pandas over the whole table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.checks import documents, reading
from components.checks.corpus import check
from components.checks.limits import CorpusLimits

Written = Callable[[pd.DataFrame], Path]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """A table of documents that is read in batches of 7 rows."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 7)
    (tmp_path / "metrics").mkdir()

    def write(rows: pd.DataFrame) -> Path:
        rows.to_parquet(tmp_path / "metrics" / "documents.parquet", index=False)
        return tmp_path

    return write


def rows_of(number: int, seed: int = 0) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    kept = chance.random(number) < 0.7
    return pd.DataFrame(
        {
            "id": [f"{index:064x}" for index in range(number)],
            "source": chance.choice(["a", "b"], number),
            "domain": chance.choice(["code", "prose"], number),
            "split": np.where(kept, chance.choice(["train", "validation"], number), None),
            "bytes": chance.integers(1, 40, number),
            "kept": kept,
        }
    )


@pytest.mark.parametrize("number", [1, 2, 7, 50, 51])
def test_counts_and_median_are_those_of_the_whole_table(number: int, written: Written) -> None:
    rows = rows_of(number)
    artifact = written(rows)
    expected = rows.groupby(documents.GROUP, dropna=False, as_index=False).agg(
        documents=("bytes", "size"), bytes=("bytes", "sum")
    )
    pd.testing.assert_frame_equal(documents.counts(artifact), expected, check_dtype=False)
    assert documents.median_bytes(artifact) == rows["bytes"][rows["kept"]].median()


def test_no_document_has_no_median(written: Written) -> None:
    assert np.isnan(documents.median_bytes(written(rows_of(9).iloc[:0])))


@pytest.mark.parametrize("ids", [50, 5])
def test_repeated_ids_are_found_however_far_apart_and_in_as_many_passes_as_memory_wants(
    ids: int, written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "IDS_PER_PASS", ids)
    rows = rows_of(50)
    rows.loc[[1, 48], "id"] = "twice"
    rows.loc[[20, 21, 40], "id"] = "thrice"
    rows.loc[[3, 4], "id"] = None
    written(rows)
    repeated = documents.repeated_ids(tmp_path, len(rows))["id"].tolist()
    assert repeated == ["twice", "thrice", "thrice", "thrice", "twice"]


def test_ids_that_occur_once_are_no_rows(written: Written, tmp_path: Path) -> None:
    written(rows_of(50))
    assert documents.repeated_ids(tmp_path, 50).empty


@pytest.mark.long
@pytest.mark.parametrize("change", [lambda t: t, lambda t: t.assign(bytes=-1), lambda t: t.assign(kept=t.index == 40)])
def test_a_check_in_batches_says_what_a_check_of_the_whole_says(
    change: Callable[[Any], Any], corpus: Path, tmp_path: Path, spoil: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(corpus, "documents", change)
    reports = []
    for rows in (reading.BATCH_ROWS, 7):
        monkeypatch.setattr(reading, "BATCH_ROWS", rows)
        (tmp_path / f"{rows}").mkdir()
        reports.append(check(CorpusLimits(min_validation_documents=5), artifact=corpus, output=tmp_path / f"{rows}"))
    assert reports[0] == reports[1]
