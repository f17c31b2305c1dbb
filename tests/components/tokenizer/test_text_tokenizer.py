"""Text to ids and back."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from components.errors import DamagedArtifact, MissingArtifact, SourceError
from components.tokenizer.special_tokens import BOS, EOS, names
from components.tokenizer.text_tokenizer import TextTokenizer

CHARACTERS = st.characters(exclude_categories=["Cs"])
SPELLED = st.sampled_from([*names(15), "\r\n", "\n\n    ", "2024", "中文", "\0", "<｜", "▁"])
PIECES = st.one_of(st.text(CHARACTERS, max_size=8), SPELLED)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


@given(TEXTS)
def test_any_text_survives_the_round_trip(tokenizer: TextTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(TEXTS)
def test_no_text_becomes_a_control_id(tokenizer: TextTokenizer, text: str) -> None:
    assert all(i < tokenizer.regular_tokens for i in tokenizer.encode(text))


@given(st.lists(TEXTS, max_size=5))
def test_a_batch_is_encoded_as_its_texts(tokenizer: TextTokenizer, texts: list[str]) -> None:
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]


@given(TEXTS)
def test_the_fast_path_of_the_library_gives_the_ids_of_the_slow_one(tokenizer_directory: Path, text: str) -> None:
    slow = Tokenizer.from_file(str(tokenizer_directory / "tokenizer.json"))
    slow.encode_special_tokens = True
    assert TextTokenizer.load(tokenizer_directory).encode(text) == slow.encode(text, add_special_tokens=False).ids


@given(TEXTS)
def test_every_digit_is_a_token_of_its_own(tokenizer: TextTokenizer, text: str) -> None:
    for i in tokenizer.encode(text):
        piece = tokenizer.decode([i])
        assert len(piece) == 1 or not any(unicodedata.category(character) == "Nd" for character in piece)


def test_no_token_of_the_vocabulary_mixes_newlines_or_digits_with_anything(tokenizer: TextTokenizer) -> None:
    for i in range(tokenizer.regular_tokens):
        piece = tokenizer.decode([i])
        assert not set(piece) & set("\r\n") or set(piece) <= set("\r\n")
        assert len(piece) == 1 or not set(piece) & set("0123456789")


def test_special_tokens_written_out_are_plain_text(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode(f"a {EOS} b {BOS}")
    assert not {tokenizer.bos_id, tokenizer.eos_id} & set(ids)
    assert tokenizer.decode(ids) == f"a {EOS} b {BOS}"


def test_control_ids_and_ids_of_the_padding_decode_to_nothing(tokenizer: TextTokenizer) -> None:
    padding = tokenizer.vocab_size - 1
    ids = [tokenizer.bos_id, *tokenizer.encode("x = 1"), padding, tokenizer.eos_id, tokenizer.pad_id]
    assert tokenizer.decode(ids) == "x = 1"


def test_half_a_character_decodes_to_the_replacement_character(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode("🦜")
    assert tokenizer.decode(ids) == "🦜"
    assert set(tokenizer.decode(ids[:-1])) == {"\N{REPLACEMENT CHARACTER}"}


def test_a_lone_surrogate_is_refused_with_its_place(tokenizer: TextTokenizer) -> None:
    with pytest.raises(SourceError, match=r"text 1 of 2, character 3: lone surrogate U\+D800; allowed"):
        tokenizer.encode_batch(["fine", "bad\ud800"])


def test_the_special_ids_and_the_padded_vocabulary_are_known(tokenizer: TextTokenizer) -> None:
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (700, 701, 702)
    assert tokenizer.vocab_size == 768


def test_a_directory_without_a_tokenizer_is_named(tmp_path: Path, tokenizer_directory: Path) -> None:
    (tmp_path / "special_tokens.json").write_bytes((tokenizer_directory / "special_tokens.json").read_bytes())
    with pytest.raises(MissingArtifact, match=r"tokenizer\.json: no tokenizer here"):
        TextTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DamagedArtifact, match=r"tokenizer\.json: not a tokenizer"):
        TextTokenizer.load(tmp_path)
