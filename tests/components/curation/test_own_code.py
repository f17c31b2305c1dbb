"""A recipe's own filters and readers: refusals are counted and shown like built-in ones, and errors name the code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.curation import Source
from components.errors import ConfigError, ExtensionError, SourceError
from components.extensions import FILTER, READER, Extension, gathered, load
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl

NO_ADS = '''"""No advertisements."""

import words


class NoAds:
    """Refuses documents with too many words of advertisements."""

    def __init__(self, max_share: float = 0.1) -> None:
        self.max_share = max_share

    def refusal(self, document):
        own = words.of(document.text)
        return "advertisement" if own.count("buy") > self.max_share * len(own) else None
'''
FORMS = '''"""Files of records between lines of dashes."""


class Records:
    """Each record is a document; an empty one is a bad line."""

    def read(self, path):
        for record in path.read_text().split("----\\n"):
            if record.startswith("FAULT"):
                raise ValueError("a record that is none")
            yield record if record.strip() else None
'''


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Extension]:
    """An extension with this source, in a folder with the module `words`."""

    def make(text: str, name: str, **values: Any) -> Extension:
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        (folder / "words.py").write_text("def of(text):\n    return text.split()\n")
        (folder / "code.py").write_text(text)
        return gathered(Extension(code=f"code.py:{name}", values=values), folder)

    return make


def texts_of(directory: Path) -> list[str]:
    """The kept texts, sorted, without their final newline."""
    return sorted(row["text"].strip() for row in documents(directory))


def advertisement(seed: int) -> str:
    return " ".join(f"{word} buy" for word in prose(seed).split())


# Filters


def test_refusals_are_counted_sampled_and_written_down_like_those_of_built_in_filters(
    own: Callable[..., Extension], tmp_path: Path
) -> None:
    texts = [*(prose(seed) for seed in range(6)), *(advertisement(seed) for seed in range(10, 14)), "short"]
    chosen = config(source(write_jsonl(tmp_path / "a.jsonl", texts)), filters=(own(NO_ADS, "NoAds", max_share=0.2),))
    figures = run(chosen, tmp_path)
    assert figures["not_kept"] == {"advertisement": 4, "short": 1}
    assert texts_of(tmp_path) == sorted(texts[:6])
    removed = [row["reason"] for row in rows(tmp_path / "corpus" / "metrics" / "documents.parquet") if not row["kept"]]
    assert removed.count("advertisement") == 4
    samples = [row for row in rows(tmp_path / "corpus" / "samples.parquet") if row["reason"] == "advertisement"]
    assert len(samples) == 4
    assert all("buy" in row["before"] for row in samples)


def test_built_in_filters_are_asked_first_and_values_decide(own: Callable[..., Extension], tmp_path: Path) -> None:
    texts = [*(prose(seed) for seed in range(4)), advertisement(9), "buy buy buy"]
    lenient = own(NO_ADS, "NoAds", max_share=0.9)
    figures = run(config(source(write_jsonl(tmp_path / "a.jsonl", texts)), filters=(lenient,)), tmp_path)
    assert figures["not_kept"] == {"short": 1}


def test_a_filter_that_fails_stops_the_step_with_its_line_and_the_document(own: Callable[..., Extension], tmp_path: Path) -> None:
    text = NO_ADS.replace("own = words.of(document.text)", "own = [1 / 0] if 'now' in document.text else []")
    path = write_jsonl(tmp_path / "a.jsonl", [prose(1), f"{prose(2)} now"])
    message = (
        r"filter code\.py:NoAds, code\.py:13: ZeroDivisionError: division by zero; raised by its method refusal; document \S*#2"
    )
    with pytest.raises(ExtensionError, match=message):
        run(config(source(path), filters=(own(text, "NoAds"),)), tmp_path)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("True", "returned True; allowed: None, or a one-line reason of at most 60 characters; document"),
        ("'two\\nlines'", r"returned 'two\\nlines'; allowed: None"),
        ("'x' * 61", "allowed: None, or a one-line reason of at most 60 characters"),
        ("'near-duplicate'", "returned 'near-duplicate', which is reserved for another step; return a different reason"),
    ],
)
def test_what_cannot_be_a_reason_is_refused(own: Callable[..., Extension], tmp_path: Path, returned: str, message: str) -> None:
    text = f"class Own:\n    def refusal(self, document):\n        return {returned}\n"
    with pytest.raises(ExtensionError, match=message):
        run(config(source(write_jsonl(tmp_path / "a.jsonl", [prose(1)])), filters=(own(text, "Own"),)), tmp_path)


# Readers


def write_records(path: Path, records: list[str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("----\n".join(records))
    return path


def reading(own: Callable[..., Extension], uri: Path, **fields: Any) -> Source:
    return source(uri, reader=own(FORMS, "Records"), **fields)


def test_a_reader_gives_the_documents_of_every_file_of_its_source(own: Callable[..., Extension], tmp_path: Path) -> None:
    texts = [prose(seed) for seed in range(6)]
    write_records(tmp_path / "forms" / "a.form", texts[:4])
    write_records(tmp_path / "forms" / "b", texts[4:])
    write_records(tmp_path / "forms" / ".hidden", [prose(9)])
    figures = run(config(reading(own, tmp_path / "forms")), tmp_path)
    kept = documents(tmp_path)
    assert texts_of(tmp_path) == sorted(texts)
    assert {row["uri"].rpartition("/")[2] for row in kept} == {"a.form#1", "a.form#2", "a.form#3", "a.form#4", "b#1", "b#2"}
    assert sum(figures["files_not_read"].values()) == 1


def test_only_files_of_the_suffixes_are_read(own: Callable[..., Extension], tmp_path: Path) -> None:
    write_records(tmp_path / "forms" / "a.FORM", [prose(1), prose(2)])
    write_records(tmp_path / "forms" / "b.jsonl", [prose(3)])
    run(config(reading(own, tmp_path / "forms", suffixes=(".form",))), tmp_path)
    assert texts_of(tmp_path) == sorted([prose(1), prose(2)])


def test_a_record_without_text_is_a_bad_line_and_too_many_of_them_set_the_file_aside(
    own: Callable[..., Extension], tmp_path: Path
) -> None:
    write_records(
        tmp_path / "forms" / "a", [prose(1), "", prose(2), "\ud800".encode("utf-16", "surrogatepass").decode("latin-1")]
    )
    write_records(tmp_path / "forms" / "b", [prose(3), "", "", "", prose(4)])
    figures = run(config(reading(own, tmp_path / "forms"), max_bad_lines=2), tmp_path)
    assert figures["not_kept"]["bad-line"] == 1
    (aside,) = rows(tmp_path / "corpus" / "metrics" / "set_aside.parquet")
    assert (
        "line 4 is not a document with text, according to the reader code.py:Records; 3 bad lines, at most 2 allowed"
        in aside["error"]
    )


def test_a_file_that_the_reader_fails_at_is_set_aside_with_the_line_of_the_reader_and_the_others_are_read(
    own: Callable[..., Extension], tmp_path: Path
) -> None:
    write_records(tmp_path / "forms" / "a", [prose(1), "FAULT"])
    write_records(tmp_path / "forms" / "b", [prose(2), prose(3)])
    run(config(reading(own, tmp_path / "forms")), tmp_path)
    assert texts_of(tmp_path) == sorted([prose(2), prose(3)])
    (aside,) = rows(tmp_path / "corpus" / "metrics" / "set_aside.parquet")
    assert aside["path"] == "a"
    assert "reader code.py:Records, code.py:10: ValueError: a record that is none; after document 1 of" in aside["error"]


def test_a_reader_that_yields_something_else_would_with_every_file_and_stops_the_step(
    own: Callable[..., Extension], tmp_path: Path
) -> None:
    reader = own("class Own:\n    def read(self, path):\n        yield {'text': path.read_text()}\n", "Own")
    write_records(tmp_path / "forms" / "a", [prose(1)])
    with pytest.raises(
        ExtensionError, match=r"reader code\.py:Own yielded dict for document 1 of a of source \S+; it must be a class"
    ):
        run(config(source(tmp_path / "forms", reader=reader)), tmp_path)


def test_a_sample_takes_a_share_of_what_the_reader_yields(own: Callable[..., Extension], tmp_path: Path) -> None:
    texts = [prose(seed) for seed in range(60)]
    size = write_records(tmp_path / "forms" / "a", texts).stat().st_size
    run(config(reading(own, tmp_path / "forms", sample_bytes=size // 3)), tmp_path)
    assert 10 < len(documents(tmp_path)) < 30


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"uri": "python-environment:", "domain": "code"}, r"Source\.reader is 'an extension'; allowed: None"),
        ({"suffixes": ("form",)}, r"Source\.suffixes is \('form',\); allowed: suffixes with a leading dot, if reader is set"),
        (
            {"reader": None, "suffixes": (".form",)},
            r"Source\.suffixes is .*; allowed: suffixes with a leading dot, if reader is set",
        ),
    ],
)
def test_a_source_whose_reader_makes_no_sense_is_refused(
    own: Callable[..., Extension], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Source(**{"uri": "forms", "domain": "web", "weight": 1.0, "reader": own(FORMS, "Records"), **fields})


def test_a_source_without_a_file_of_its_reader_is_refused(own: Callable[..., Extension], tmp_path: Path) -> None:
    write_records(tmp_path / "forms" / "a", [prose(1)])
    with pytest.raises(SourceError, match=r"no readable file; allowed: \.form"):
        run(config(reading(own, tmp_path / "forms", suffixes=(".form",))), tmp_path)


def test_what_a_recipe_brings_is_of_the_kind_that_its_field_says(own: Callable[..., Extension]) -> None:
    assert json.dumps([load(own(NO_ADS, "NoAds"), FILTER).max_share]) == "[0.1]"
    with pytest.raises(ConfigError, match=r"reader code\.py:NoAds, line 6: NoAds has no method read"):
        load(own(NO_ADS, "NoAds"), READER)
