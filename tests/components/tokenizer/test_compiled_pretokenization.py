"""Texts are split in machine code where the library's expressions split them."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from components.tokenizer.compiled_pretokenization import PreTokenizer
from components.tokenizer.config import PRE_TOKENIZERS
from components.tokenizer.pretokenization import pre_tokenizer
from tests.components.tokenizer.texts import TEXTS

CONTEXTS = "a{0}b {0}c {0}{0} {0}. 中{0}文 1{0}2\t{0}\n{0}x {0} y ש{0}ש {0} ש"

both_pre_tokenizers = pytest.mark.parametrize("name", PRE_TOKENIZERS)

COMPILED = {name: PreTokenizer(name) for name in PRE_TOKENIZERS}


def pieces(name: str, text: str) -> list[str]:
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    ends = COMPILED[name].piece_ends(raw, np.array([0, len(raw)], dtype=np.int64)).tolist()
    return [raw[start:end].tobytes().decode() for start, end in zip([0, *ends], ends, strict=False)]


def library(name: str) -> pre_tokenizers.PreTokenizer:
    """The library's pre-tokenizer, without writing bytes as characters."""
    *steps, _ = pre_tokenizer(name)  # type: ignore[misc]
    return pre_tokenizers.Sequence(steps)


LIBRARY = {name: library(name) for name in PRE_TOKENIZERS}


def of_the_library(name: str, text: str) -> list[str]:
    return [piece for piece, _ in LIBRARY[name].pre_tokenize_str(text)]


@both_pre_tokenizers
@given(text=TEXTS)
def test_any_text_is_split_as_by_the_library(name: str, text: str) -> None:
    assert pieces(name, text) == of_the_library(name, text)


@both_pre_tokenizers
@given(text=st.text(st.sampled_from(" \u3000\u00a0\t\r\n\x85ab.é=中〇ー1٣②Ⅻ\u0301\u302eשहệ“。😀"), max_size=40))
def test_any_order_of_classes_is_split_as_by_the_library(name: str, text: str) -> None:
    assert pieces(name, text) == of_the_library(name, text)


def characters(step: int) -> list[str]:
    codes = [*range(0x800), *range(0x800, sys.maxunicode + 1, step)]
    return [chr(code) for code in codes if not 0xD800 <= code < 0xE000]


@pytest.mark.long
@both_pre_tokenizers
@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_every_character_is_split_as_by_the_library_whatever_is_around_it(name: str, step: int) -> None:
    members = characters(step)
    for start in range(0, len(members), 50_000):  # all of Unicode at once takes 4 GB
        text = "\n1".join(CONTEXTS.format(character) for character in members[start : start + 50_000])
        assert pieces(name, text) == of_the_library(name, text)


@both_pre_tokenizers
def test_no_piece_reaches_from_one_text_into_the_next(name: str) -> None:
    texts = pa.array(["a", "", "b ", " c", "1", ""])
    raw = np.frombuffer("".join(texts.to_pylist()).encode(), dtype=np.uint8)
    assert COMPILED[name].piece_ends(raw, np.array([0, 1, 1, 3, 5, 6, 6])).tolist() == [1, 2, 3, 5, 6]


def test_the_two_pre_tokenizers_differ() -> None:
    assert pieces("longrun", "naïve\n\n") == ["naïve", "\n\n"]
    assert pieces("deepseek-llm", "naïve\n\n") == ["na", "ï", "ve", "\n", "\n"]
