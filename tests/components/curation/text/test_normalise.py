"""Normalisation gives equal texts for different encodings of the same text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.curation.text.normalise import normalise


@pytest.mark.parametrize(
    ("raw", "spelling"),
    [
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne\n"),
        ("cafe\u0301", "café\n"),
        ("a\x00b\x07c\u200bd\ufeff", "abcd\n"),
        ("a \t\n  b\t", "a\n  b\n"),
        ("\n\na\n\n\n\n\n\nb\n\n", "a\n\n\nb\n"),
        ("\tif x:\n\t\ty  =  1", "\tif x:\n\t\ty  =  1\n"),
        ("你好\u3000世界", "你好\u3000世界\n"),
        ("", "\n"),
    ],
)
def test_line_ends_accents_invisible_characters_and_trailing_space_are_unified(raw: str, spelling: str) -> None:
    assert normalise(raw) == spelling


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
