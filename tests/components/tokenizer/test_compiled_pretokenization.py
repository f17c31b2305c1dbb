"""Texts are split in machine code where the library's expression splits them."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from components.errors import DamagedArtifact
from components.tokenizer import compiled_pretokenization
from components.tokenizer.compiled_pretokenization import LETTER, PreTokenizer
from components.tokenizer.pretokenization import PIECE
from tests.components.tokenizer.hostile import TEXTS

OURS, LIBRARY = PreTokenizer(), Split(Regex(PIECE), behavior="isolated")
CONTEXTS = "a{0}b {0}c {0}{0} {0}. 中{0}文 1{0}2\t{0}\n{0}x {0} y"


def pieces(text: str) -> list[str]:
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    ends = OURS.piece_ends(raw, np.array([0, len(raw)], dtype=np.int64)).tolist()
    return [raw[start:end].tobytes().decode() for start, end in zip([0, *ends], ends, strict=False)]


def of_the_library(text: str) -> list[str]:
    return [piece for piece, _ in LIBRARY.pre_tokenize_str(text)]


@given(TEXTS)
def test_any_text_is_split_as_by_the_library(text: str) -> None:
    assert pieces(text) == of_the_library(text)


@given(st.text(st.sampled_from(" \u3000\t\r\n\x85ab.é=中〇ー1٣②\u0301\u302e"), max_size=40))
def test_any_order_of_classes_is_split_as_by_the_library(text: str) -> None:
    assert pieces(text) == of_the_library(text)


def characters(step: int) -> list[str]:
    codes = [*range(0x800), *range(0x800, sys.maxunicode + 1, step)]
    return [chr(code) for code in codes if not 0xD800 <= code < 0xE000]


@pytest.mark.long
@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_every_character_is_split_as_by_the_library_whatever_is_around_it(step: int) -> None:
    text = "\n1".join(CONTEXTS.format(character) for character in characters(step))
    assert pieces(text) == of_the_library(text)


def test_no_piece_reaches_from_one_text_into_the_next() -> None:
    texts = pa.array(["a", "", "b ", " c", "1", ""])
    raw = np.frombuffer("".join(texts.to_pylist()).encode(), dtype=np.uint8)
    assert OURS.piece_ends(raw, np.array([0, 1, 1, 3, 5, 6, 6])).tolist() == [1, 2, 3, 5, 6]


EXPRESSIONS = compiled_pretokenization._EXPRESSIONS


@pytest.mark.parametrize("expressions", [EXPRESSIONS[:2], (*EXPRESSIONS, (LETTER, r"\."))])
def test_a_library_with_other_classes_is_refused(monkeypatch: pytest.MonkeyPatch, expressions: object) -> None:
    monkeypatch.setattr(compiled_pretokenization, "_EXPRESSIONS", expressions)
    raw = np.frombuffer(b"a.", dtype=np.uint8)
    with pytest.raises(DamagedArtifact, match="classes of characters are not those of this version"):
        PreTokenizer().piece_ends(raw, np.array([0, 2]))
