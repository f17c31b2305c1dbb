"""Flagged words are whole words in any case, from the list for the document's language; their share decides, not one word."""

from pathlib import Path
from typing import Any

import pytest

from components.curation.filtering.flagged_words import WordList, read_lists, terms_of, write_lists
from components.curation.reading.sources import fingerprint
from components.errors import ConfigError, SourceError
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl


@pytest.mark.parametrize(
    ("terms", "text", "count", "ratio"),
    [
        (["grue"], "A Grue, a GRUE and a grue.", 3, 3 / 7),
        (["grue"], "gruesome ungrue grue2", 0, 0),
        (["red grue", "red"], "red grue, red cat", 2, 3 / 4),
        (["red grue"], "red\ngrue", 1, 1),
        (["red grue", "grue lair"], "red grue lair", 1, 2 / 3),
        (["狗屎"], "他说狗屎一堆。", 1, 2 / 6),
        (["狗屎"], "狗 屎", 1, 1),
        (["grue"], "", 0, 0),
        (["🖕", "grue"], "🖕", 0, 0),
    ],
)
def test_terms_are_whole_words(terms: list[str], text: str, count: int, ratio: float) -> None:
    flagged = WordList.of(terms).flagged(text)
    assert (flagged.terms, flagged.ratio) == (count, pytest.approx(ratio))


def abusive(seed: int, words: int) -> str:
    return prose(seed, 60) + " grue" * words


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "words.txt").write_text("# what not to read\n\ngrue\n", encoding="utf-8")
    return {"en": str(tmp_path / "words.txt")}


def curated(tmp_path: Path, lists: dict[str, str], **fields: Any) -> Path:
    (tmp_path / "data").mkdir()
    texts = [prose(1), abusive(2, 1), abusive(3, 2), abusive(4, 30), "春眠不觉晓，处处闻啼鸟。" * 3 + "grue grue grue grue"]
    write_jsonl(tmp_path / "data/a.jsonl", texts)
    run(config(source(tmp_path / "data"), flagged_words=lists, **fields), tmp_path)
    return tmp_path


def test_a_document_is_refused_for_their_density_not_for_one_or_two_and_only_by_its_own_language(
    tmp_path: Path, lists: dict[str, str]
) -> None:
    directory = curated(tmp_path, lists)
    listed = {row["uri"][-1]: row for row in rows(directory / "corpus/metrics/documents.parquet")}
    assert {number: row["reason"] for number, row in listed.items()} == {"1": "", "2": "", "3": "", "4": "flagged-words", "5": ""}
    assert listed["1"]["flagged_words_ratio"] == 0
    assert listed["3"]["flagged_words_ratio"] == pytest.approx(2 / 122)
    assert listed["4"]["flagged_words_ratio"] == pytest.approx(30 / 150)
    assert listed["5"]["flagged_words_ratio"] is None
    kept = {row["uri"][-1]: row["flagged_words_ratio"] for row in documents(directory)}
    assert kept["2"] == pytest.approx(1 / 121)


def test_refusals_are_counted_by_source(tmp_path: Path, lists: dict[str, str]) -> None:
    directory = curated(tmp_path, lists)
    (refused,) = [row for row in rows(directory / "corpus/metrics/refusals.parquet") if row["reason"] == "flagged-words"]
    assert (refused["source"], refused["language"], refused["documents"]) == ("data", "en", 1)


def test_a_ratio_of_1_scores_and_refuses_nothing(tmp_path: Path, lists: dict[str, str]) -> None:
    directory = curated(tmp_path, lists, max_flagged_words_ratio=1.0)
    assert len(documents(directory)) == 5


def test_another_list_is_another_fingerprint(tmp_path: Path, lists: dict[str, str]) -> None:
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [prose(1)])
    chosen = config(source(tmp_path / "data"), flagged_words=lists)
    before = fingerprint(chosen.inputs)
    Path(lists["en"]).write_text("other\n")
    assert fingerprint(chosen.inputs) != before


def test_a_list_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="the built-in list 'ldnoobw' is not available for 'fr', only for en, zh; give the path or URI"
    ):
        terms_of("fr", "ldnoobw")
    with pytest.raises(SourceError, match=r"flagged words of en: .*none\.txt cannot be read"):
        terms_of("en", str(tmp_path / "none.txt"))
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(SourceError, match="cannot be read as UTF-8"):
        terms_of("en", str(tmp_path / "latin.txt"))
    (tmp_path / "empty.txt").write_text("# nothing\n\n...\n")
    with pytest.raises(SourceError, match="contains no words"):
        terms_of("en", str(tmp_path / "empty.txt"))


def test_lists_that_are_written_again_are_read_again(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    for word in ("ham", "egg"):
        words.write_text(word + "\n")
        write_lists({"en": str(words)}, tmp_path)
        assert read_lists(tmp_path)["en"].flagged("ham or egg").terms == 1
        assert read_lists(tmp_path)["en"].flagged(word).terms == 1
