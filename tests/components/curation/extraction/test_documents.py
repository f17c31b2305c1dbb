"""Raw documents are normalised: text, language, dropped boilerplate lines, and id."""

from dataclasses import replace

import pytest

from components.curation.extraction.documents import identity_of, normalised_document
from components.curation.reading.readers import RawDocument
from tests.components.curation.conftest import source

SENTENCE = "The end of the story is told in a letter."
RAW = RawDocument(source_index=0, uri="a.jsonl#1", text=f"{SENTENCE} \r\n", raw=b"line")


def test_a_document_is_normalised_and_keeps_what_was_read() -> None:
    document = normalised_document(RAW, source("x"))
    assert (document.text, document.raw, document.domain) == (f"{SENTENCE}\n", RAW.text, "prose")
    assert len(document.codes) == len(document.classes) == len(document.text)


def test_a_document_that_could_not_be_read_has_no_text() -> None:
    assert normalised_document(replace(RAW, refusal="long"), source("x")).text == ""


@pytest.mark.parametrize(
    ("domain", "language", "tag"),
    [("prose", "auto", "en"), ("prose", "zh", "zh"), ("code-python", "auto", "code"), ("code-python", "en", "en")],
)
def test_the_tag_of_a_source_stands_before_that_of_its_domain_and_of_the_text(domain: str, language: str, tag: str) -> None:
    assert normalised_document(RAW, source("x", domain, language=language)).language == tag


def test_codes_are_those_of_the_text_without_boilerplate() -> None:
    raw = replace(RAW, text=f"Home | About\n{SENTENCE}\n")
    document = normalised_document(raw, source("x"), ("c4-lines",))
    assert document.text == f"{SENTENCE}\n"
    assert len(document.codes) == len(document.classes) == len(document.text)


def test_an_id_is_made_of_the_name_of_the_source_the_path_inside_it_and_the_position_and_nothing_else() -> None:
    others = [replace(RAW, uri="a.jsonl#2"), replace(RAW, uri="deep/a.jsonl#1")]
    ids = {identity_of(source("x"), raw) for raw in (RAW, *others)} | {identity_of(source("y"), RAW)}
    assert len(ids) == 4
    moved = source("s3://elsewhere/x", "web", weight=2.0)
    assert identity_of(moved, replace(RAW, text="Another text.", raw=b"another line")) == identity_of(source("x"), RAW)
