"""Pieces are merged as the library merges them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from components.tokenizer.compiled_merging import merge, merges_of
from components.tokenizer.pretokenization import byte_level
from components.tokenizer.text_tokenizer import TextTokenizer
from tests.components.tokenizer.texts import CHARACTERS


@pytest.fixture(scope="module")
def merges(tokenizer: TextTokenizer) -> Any:
    return merges_of(tokenizer.library)


def merged(text: str, merges: Any) -> list[int]:
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    ids, products = np.empty(len(raw), dtype=np.uint32), np.empty(len(raw), dtype=np.uint64)
    return ids[: merge(raw, 0, len(raw), merges, ids, products)].tolist()


@pytest.mark.long
@given(st.text(CHARACTERS | st.sampled_from("etaoin shrdlu_="), min_size=1, max_size=40))
def test_a_piece_is_merged_as_by_the_library(tokenizer: TextTokenizer, merges: Any, text: str) -> None:
    whole = Tokenizer(tokenizer.library.model)
    whole.pre_tokenizer = byte_level()
    assert merged(text, merges) == whole.encode(text, add_special_tokens=False).ids


def test_of_equal_pairs_the_leftmost_is_merged_first() -> None:
    alphabet = {character: n for n, character in enumerate(sorted(byte_level().alphabet()))}
    library = Tokenizer(models.BPE(vocab=alphabet | {"aa": 256}, merges=[("a", "a")]))
    assert merged("aaa", merges_of(library)) == [256, alphabet["a"]]


def test_without_merges_every_byte_is_an_id() -> None:
    alphabet = {character: n for n, character in enumerate(sorted(byte_level().alphabet()))}
    assert len(merged("é中🦜", merges_of(Tokenizer(models.BPE(vocab=alphabet, merges=[]))))) == 9
