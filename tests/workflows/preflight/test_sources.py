"""Sources that curation could not use, or whose documents evaluation could not, are found by reading a sample of them."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.checks.limits import CheckLimits, CorpusLimits, EvaluationLimits
from components.curation.config import CorpusConfig, CurationConfig, Source
from components.curation.reading import sources
from components.extensions import Extension, gathered
from workflows.preflight.sources import SourceFiles, WordLists

SENTENCE = "The quick brown fox jumps over the lazy dog while the sun sets behind the hills of the valley. "

FEW = CheckLimits(corpus=CorpusLimits(min_validation_documents=1), evaluation=EvaluationLimits(min_documents_per_domain=1))


def lines(path: Path, texts: Sequence[str], field: str = "text") -> Path:
    path.write_text("".join(json.dumps({field: text}) + "\n" for text in texts))
    return path


def texts(count: int, sentences: int = 15) -> list[str]:
    return [f"Document {number}. " + SENTENCE * sentences for number in range(count)]


def said(*sources: Source, checks: CheckLimits = FEW, **curation: object) -> list[str]:
    config = replace(CurationConfig(sources=sources, corpus=CorpusConfig(validation_share=0.1)), **curation)  # type: ignore[arg-type]
    return [str(problem) for problem in SourceFiles(config=config, checks=checks, is_evaluated=True).problems()]


def source(uri: Path | str, **fields: object) -> Source:
    return Source(**{"uri": str(uri), "domain": "web", "weight": 1.0, "name": "mine"} | fields)  # type: ignore[arg-type]


def test_a_good_source_is_no_problem(tmp_path: Path) -> None:
    assert said(source(lines(tmp_path / "good.jsonl", texts(50)))) == []


def test_all_sources_are_read_whatever_is_wrong_with_the_first(tmp_path: Path) -> None:
    other = lines(tmp_path / "other.jsonl", texts(50), field="story")
    first, second = said(source(tmp_path / "absent"), source(other, name="other"))
    assert first == f"curation.sources.mine: source mine ({tmp_path / 'absent'}): {tmp_path / 'absent'} does not exist"
    assert second.startswith(f"curation.sources.other: {other}: ")
    assert "no column 'text'; its columns are story; name the one with the text" in second
    assert "--set curation.sources.other.text_field=story" in second


def test_a_damaged_file_is_said_as_curation_would_set_it_aside(tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(lines(tmp_path / "x", texts(50)).read_bytes())[:-20])
    (problem,) = said(source(tmp_path / "cut.jsonl.gz"))
    assert "cannot be read to its end" in problem
    assert "allowed: 0 (checks.corpus.max_set_aside_files)" in problem


def test_a_column_that_is_missing_is_said_with_those_that_are_there(tmp_path: Path) -> None:
    pq.write_table(pa.table({"story": texts(20)}), tmp_path / "a.parquet")
    (problem,) = said(source(tmp_path / "a.parquet"))
    assert "no column 'text'; its columns are story; name the one with the text" in problem


def test_a_source_whose_documents_are_all_refused_is_said_with_the_reasons(tmp_path: Path) -> None:
    (problem,) = said(source(lines(tmp_path / "short.jsonl", ["too short"] * 30)))
    assert "all of its documents are refused (30 short); change curation.filtering, or remove the source" in problem


def test_a_domain_of_short_documents_is_said_before_evaluation_needs_longer_ones(tmp_path: Path) -> None:
    (problem,) = said(source(lines(tmp_path / "brief.jsonl", texts(400, sentences=3))))
    assert problem.startswith("curation.sources of web: domain web: none of the 400 documents that were read has 1000 bytes")


def test_a_domain_that_holds_out_too_little_for_the_checks_is_said(tmp_path: Path) -> None:
    file = lines(tmp_path / "few.jsonl", texts(100))
    corpus, evaluation = said(source(file), checks=CheckLimits())
    assert "of its 100 documents would be held out; checks.corpus.min_validation_documents requires 100" in corpus
    assert "would be held out of at least 1000 bytes; checks.evaluation.min_documents_per_domain requires 20" in evaluation
    assert said(source(lines(tmp_path / "many.jsonl", texts(1500))), checks=CheckLimits()) == []


def test_bad_lines_in_the_middle_of_a_large_file_are_found(tmp_path: Path) -> None:
    good = [json.dumps({"text": text}) for text in texts(8000)]
    (tmp_path / "large.jsonl").write_text("\n".join([*good[:3000], *["{"] * 400_000, *good[3000:]]))
    (problem,) = said(source(tmp_path / "large.jsonl"))
    assert "lines that were drawn are bad, so about" in problem
    assert "at most 100 allowed (curation.reading.max_bad_lines); the first is the line at byte" in problem


def test_of_a_large_folder_only_some_files_are_read_even_if_a_sample_would_be_drawn_by_their_contents(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text(f"File {number}. " + SENTENCE * 3000)
    sources._sha256.cache_clear()
    assert said(source(tmp_path, sample_bytes=100_000)) == []
    assert not sources._sha256.cache_info().currsize


def test_a_source_that_this_machine_cannot_read_is_not_asked_about() -> None:
    config = CurationConfig(sources=(source("/sources/there"),))
    question = SourceFiles(config=config, checks=FEW, is_evaluated=True, hidden=("/sources/there",))
    assert list(question.problems()) == []


def test_a_reader_of_the_recipes_own_that_fails_is_said(tmp_path: Path) -> None:
    (tmp_path / "readers.py").write_text("class Mine:\n    def read(self, path):\n        raise ValueError('no')\n")
    reader = gathered(source(tmp_path, reader=Extension(code="readers.py:Mine"), suffixes=(".py",)), tmp_path)
    (problem,) = said(reader)
    assert "reader readers.py:Mine" in problem
    assert "ValueError: no" in problem


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), ("# nothing\n", "contains no words")])
def test_a_word_list_is_read(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_text(content)
    (problem,) = WordLists(lists={"en": str(path)}).problems()
    assert message in str(problem)
    assert str(problem).startswith("curation.filtering.flagged_words.en: ")
