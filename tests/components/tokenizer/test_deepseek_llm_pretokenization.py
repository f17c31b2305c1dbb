"""The pre-tokenizer `deepseek-llm` gives the ids that llama.cpp gives."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from components.ports import SilentMetrics
from components.tokenizer.batch_encoder import BatchEncoder, encoder_of
from components.tokenizer.config import TokenizerConfig
from components.tokenizer.pretokenization import pre_tokenizer
from components.tokenizer.text_tokenizer import FILE, TextTokenizer
from components.tokenizer.training import train_tokenizer
from tests.components.tokenizer import llama_cpp
from tests.components.tokenizer.conftest import CorpusWriter
from tests.components.tokenizer.texts import SENTENCES, texts

ALL = [text for script in SENTENCES for text in texts(script, 20)]

*STEPS, _ = pre_tokenizer("deepseek-llm")  # type: ignore[misc]

LIBRARY = pre_tokenizers.Sequence(STEPS)


def cut(text: str) -> list[str]:
    return [piece for piece, _ in LIBRARY.pre_tokenize_str(text)]


def trained(name: str, directory: Path) -> Path:
    """A tokenizer trained on the texts of all scripts."""
    corpus, output = CorpusWriter(directory / "corpus"), directory / "tokenizer"
    corpus.documents("train", "prose", ALL)
    corpus.mixture({"prose": 1.0})
    output.mkdir()
    config = TokenizerConfig(pre_tokenizer=name, regular_tokens=1500, vocab_multiple=64, sample_bytes=1_000_000)
    train_tokenizer(config, corpus=corpus.directory, output=output, metrics=SilentMetrics())
    return output


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained("deepseek-llm", tmp_path_factory.mktemp("deepseek-llm"))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello my friend", ["Hello", " my", " friend"]),
        ("def f():\n    return x\n\n", ["def", " f", "():", "\n", "   ", " return", " x", "\n", "\n"]),
        ("it's naïve", ["it", "'", "s", " na", "ï", "ve"]),
        ("x = (1 + 23)", ["x", " =", " (", "1", " +", " ", "23", ")"]),
        ("हिन्दी भाषा", ["हिन्दी", " ", "भाषा"]),
        ("שלום עולם abc", ["שלום עולם", " abc"]),
        ("“a”。\u3000中文", ["“", "a", "”。", "\u3000", "中文"]),
        ("trailing \t", ["trailing", " \t"]),
        ("", []),
    ],
)
def test_texts_are_split_as_by_deepseek_llm(text: str, pieces: list[str]) -> None:
    assert cut(text) == llama_cpp.split(text) == pieces


@given(st.text(st.sampled_from(" \u3000\u00a0\u2003\t\r\n\x85\x1cab.é:=中〇ー1٣②Ⅻ½\u0301शहệἀא“。－Ａ１😀\u200b"), max_size=30))
def test_any_order_of_classes_is_split_as_by_llama_cpp(text: str) -> None:
    assert cut(text) == llama_cpp.split(text)


def test_ids_of_texts_in_all_scripts_are_those_of_llama_cpp(directory: Path) -> None:
    tokenizer, vocabulary = TextTokenizer.load(directory), llama_cpp.Vocabulary(directory / FILE)
    expected = [vocabulary.encode(text) for text in ALL]
    assert len(SENTENCES) >= 20
    assert len(ALL) >= 500
    assert tokenizer.encode_batch(ALL) == expected
    encoder = encoder_of(tokenizer)
    assert isinstance(encoder, BatchEncoder)
    assert encoder.encode(pa.array(ALL))[0].tolist() == [
        id for ids in expected for id in (tokenizer.bos_id, *ids, tokenizer.eos_id)
    ]


def test_ids_of_another_pre_tokenizer_are_not_those_of_llama_cpp(tmp_path: Path) -> None:
    directory = trained("longrun", tmp_path)
    tokenizer, vocabulary = TextTokenizer.load(directory), llama_cpp.Vocabulary(directory / FILE)
    differing = [text for text in ALL if tokenizer.encode(text) != vocabulary.encode(text)]
    assert len(differing) > len(ALL) / 2


def test_every_ascii_digit_is_a_token_although_a_number_is_a_piece(directory: Path) -> None:
    tokenizer = TextTokenizer.load(directory)
    vocabulary = json.loads((directory / FILE).read_text())["model"]["vocab"]
    assert tokenizer.encode("2024") == [vocabulary[digit] for digit in "2024"]
    assert not [token for token in vocabulary if len(token) > 1 and any(digit in token for digit in "0123456789")]


def test_texts_survive_the_round_trip(directory: Path) -> None:
    tokenizer = TextTokenizer.load(directory)
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_batch(ALL)] == ALL
