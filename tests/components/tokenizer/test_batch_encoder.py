"""Whole batches become the ids that the library gives text by text, whatever the texts say."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers, pre_tokenizers

from components.errors import SourceError
from components.tokenizer import batch_encoder
from components.tokenizer.batch_encoder import BatchEncoder, LibraryEncoder, encoder_of
from components.tokenizer.special_tokens import EOS, names
from components.tokenizer.text_tokenizer import TextTokenizer
from tests.components.tokenizer.texts import MEGABYTES, TEXTS
from tests.paths import SHARED

DATA = SHARED / "data"
DOMAINS = ("corpus/*", "eval/*", "preferences/*", "sft/*")


@pytest.fixture(scope="module")
def encoder(tokenizer: TextTokenizer) -> BatchEncoder:
    return BatchEncoder(tokenizer)


def encoded(encoder: BatchEncoder | LibraryEncoder, texts: list[str]) -> list[list[int]]:
    ids, counts = encoder.encode(pa.array(texts, pa.string()))
    assert counts.sum() == len(ids)
    rows, start = [], 0
    for count in counts.tolist():
        rows.append(ids[start : start + count].tolist())
        start += count
    return rows


def between_marks(tokenizer: TextTokenizer, texts: list[str]) -> list[list[int]]:
    return [[tokenizer.bos_id, *ids, tokenizer.eos_id] for ids in tokenizer.encode_batch(texts)]


@given(st.lists(TEXTS, max_size=5))
def test_any_texts_become_the_ids_of_the_library(tokenizer: TextTokenizer, encoder: BatchEncoder, texts: list[str]) -> None:
    assert encoded(encoder, texts) == between_marks(tokenizer, texts)


@given(st.lists(st.sampled_from(names(15)) | TEXTS, max_size=6).map("".join))
def test_no_text_becomes_a_control_id(tokenizer: TextTokenizer, encoder: BatchEncoder, text: str) -> None:
    ((first, *ids, last),) = encoded(encoder, [text])
    assert (first, last) == (tokenizer.bos_id, tokenizer.eos_id)
    assert all(i < tokenizer.regular_tokens for i in ids)


@pytest.mark.long
@pytest.mark.parametrize("name", MEGABYTES)
def test_a_megabyte_of_one_thing_becomes_its_ids(tokenizer: TextTokenizer, encoder: BatchEncoder, name: str) -> None:
    assert encoded(encoder, [MEGABYTES[name]]) == between_marks(tokenizer, [MEGABYTES[name]])


def files() -> Iterator[Path]:
    """Of every domain of the shared data the first files of each kind."""
    for directory in sorted(directory for domain in DOMAINS for directory in DATA.glob(domain)):
        kinds: dict[str, int] = {}
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            kinds[path.suffix] = kinds.get(path.suffix, 0) + 1
            if kinds[path.suffix] <= 2:
                yield path


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
def test_every_domain_of_real_data_becomes_the_ids_of_the_library(tokenizer: TextTokenizer, encoder: BatchEncoder) -> None:
    texts = [path.read_bytes()[:60_000].decode(errors="ignore") for path in files()]
    assert len(texts) > 30
    assert encoded(encoder, texts) == between_marks(tokenizer, texts)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
def test_all_real_data_becomes_the_ids_of_the_library(tokenizer: TextTokenizer, encoder: BatchEncoder) -> None:
    for path in sorted(path for path in DATA.rglob("*") if path.is_file()):
        text = path.read_bytes().decode(errors="ignore")
        assert encoded(encoder, [text]) == between_marks(tokenizer, [text]), path


def test_a_cache_that_is_full_is_emptied(tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_encoder, "MAX_CACHED_PIECES", 16)
    monkeypatch.setattr(batch_encoder, "MAX_CACHED_BYTES", 128)
    texts = [f"the {chr(97 + n % 26)}{n % 7} of the {n % 11}" for n in range(400)]
    small = BatchEncoder(tokenizer)
    assert encoded(small, texts) == between_marks(tokenizer, texts)
    assert small._cache.used[0] <= 16


def test_a_part_of_a_larger_array_is_encoded_alone(tokenizer: TextTokenizer, encoder: BatchEncoder) -> None:
    texts = ["first", "zweiter", "三", ""]
    ids, counts = encoder.encode(pa.array(texts, pa.large_string())[1:3])
    first, second = between_marks(tokenizer, texts[1:3])
    assert (ids.tolist(), counts.tolist()) == (first + second, [len(first), len(second)])


@pytest.mark.parametrize("damaged", [b"\xed\xa0\x80", b"\xff", b"\xe4\xb8", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_bytes_that_are_no_text_are_refused_with_their_index(encoder: BatchEncoder, damaged: bytes) -> None:
    data = pa.array([b"fine", damaged, b"\xad"], pa.binary())
    texts = pa.StringArray.from_buffers(3, data.buffers()[1], data.buffers()[2])
    with pytest.raises(SourceError, match=r"string index 1.*allowed: text that UTF-8 can say"):
        encoder.encode(texts)


def other(directory: Path, change: Callable[[Tokenizer], object]) -> TextTokenizer:
    changed = TextTokenizer.load(directory)
    change(changed.library)
    return changed


OTHERS: dict[str, Callable[[Tokenizer], object]] = {
    "cuts": lambda library: setattr(library, "pre_tokenizer", pre_tokenizers.ByteLevel()),
    "nothing cut": lambda library: setattr(library, "pre_tokenizer", None),
    "normalizer": lambda library: setattr(library, "normalizer", normalizers.Lowercase()),
    "added token": lambda library: library.add_tokens(["of the"]),
    "whole pieces": lambda library: setattr(library.model, "ignore_merges", True),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_tokenizer_of_another_make_gives_the_ids_that_it_gives(tokenizer_directory: Path, name: str) -> None:
    foreign = other(tokenizer_directory, OTHERS[name])
    encoder = encoder_of(foreign)
    texts = ["The end of the world's 12 Days", "", f"a {EOS} b"]
    assert isinstance(encoder, LibraryEncoder)
    assert encoded(encoder, texts) == between_marks(foreign, texts)
    assert encoder.encode(pa.array([], pa.string()))[0].tolist() == []


def test_a_tokenizer_of_our_make_is_encoded_in_machine_code(tokenizer: TextTokenizer) -> None:
    assert isinstance(encoder_of(tokenizer), BatchEncoder)
