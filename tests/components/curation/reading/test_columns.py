"""Which field of a file contains the text."""

import pytest

from components.curation.reading.columns import fields_with_text, text_field_of
from components.curation.reading.config import Source
from components.errors import SourceError


def source(text_field: str = "text") -> Source:
    return Source(uri="a.jsonl", domain="web", weight=1.0, text_field=text_field)


@pytest.mark.parametrize(
    ("field", "names", "chosen"),
    [
        ("text", ["content", "text"], "text"),
        ("text", ["id", "content"], "content"),
        ("story", ["content", "story"], "story"),
    ],
)
def test_the_field_is_the_users_or_a_well_known_one(field: str, names: list[str], chosen: str) -> None:
    assert text_field_of(source(field), names, "a.jsonl") == chosen


@pytest.mark.parametrize(
    ("field", "names", "line"),
    [
        ("text", ["content", "body"], "web-jsonl.text_field=content"),
        ("text", ["id", "story"], "web-jsonl.text_field=id"),
        ("storry", ["id", "story", "content"], "web-jsonl.text_field=content"),
        ("storry", ["id", "story"], "web-jsonl.text_field=story"),
        ("text", [], "web-jsonl.text_field=NAME"),
    ],
)
def test_without_a_clear_field_the_message_has_the_line_to_write(field: str, names: list[str], line: str) -> None:
    with pytest.raises(SourceError, match=f"no column '{field}'; its columns are .*--set curation.sources.{line}$"):
        text_field_of(source(field), names, "a.jsonl")


def test_fields_of_lines_are_those_with_text() -> None:
    lines = [b'{"id": 1, "empty": " ", "body": "x"}', b"not json", None, b"[1]", b'{"title": "y"}']
    assert fields_with_text(lines) == ["body", "title"]
