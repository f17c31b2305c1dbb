"""Reading a corpus by rows."""

from pathlib import Path
from typing import Any

import pytest

from components.tokenizer import documents
from components.tokenizer.documents import Rows

TEXTS = [f"{number:03d}" * (number % 7 + 1) for number in range(30)]


@pytest.fixture
def path(new_corpus: Any) -> Path:
    new_corpus.documents("train", "prose", TEXTS)
    return documents.files(new_corpus.directory, "train", "prose")[0]


def read(rows: Rows, limit: int) -> list[list[str]]:
    return [table["text"].to_pylist() for table in documents.batches(rows, ["text", "bytes"], limit)]


def flat(batches: list[list[str]]) -> list[str]:
    return [text for batch in batches for text in batch]


def test_runs_hold_every_document_once_and_no_more_bytes_than_asked(path: Path) -> None:
    everything = flat(read(documents.all_rows(path), 1 << 20))
    runs = documents.runs(path, 40)
    pieces = [flat(read(run, 1 << 20)) for run in runs]
    assert sorted(everything) == sorted(TEXTS)
    assert flat(pieces) == everything
    assert all(sum(map(len, piece)) <= 40 for piece in pieces)
    assert len(runs) > 5


def test_a_document_longer_than_the_limit_is_a_run_of_its_own(path: Path) -> None:
    runs = documents.runs(path, 1)
    assert [run.stop - run.start for run in runs] == [1] * len(TEXTS)


def test_batches_end_as_soon_as_they_are_large_enough(path: Path) -> None:
    batches = read(documents.all_rows(path), 10)
    assert all(sum(map(len, batch[:-1])) < 10 for batch in batches)
    assert flat(batches) == flat(read(documents.all_rows(path), 1 << 20))


def test_rows_may_begin_and_end_inside_row_groups(path: Path) -> None:
    everything = flat(read(documents.all_rows(path), 1 << 20))
    assert flat(read(Rows(path=path, start=3, stop=18), 25)) == everything[3:18]
    assert flat(read(Rows(path=path, start=5, stop=5), 25)) == []


def test_a_file_without_documents_has_no_runs(new_corpus: Any) -> None:
    new_corpus.documents("train", "prose", [])
    assert documents.runs(documents.files(new_corpus.directory, "train", "prose")[0], 10) == []


def test_domains_are_sorted_and_a_missing_split_has_none(new_corpus: Any) -> None:
    for domain in ("prose", "code"):
        new_corpus.documents("train", domain, ["a"])
    assert documents.domains(new_corpus.directory, "train") == ["code", "prose"]
    assert documents.domains(new_corpus.directory, "validation") == []
