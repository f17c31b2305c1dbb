"""Tokens per byte, and the round trip."""

from typing import Any

import tokenizers

from components.tokenizer import fertility
from components.tokenizer.special_tokens import after
from components.tokenizer.text_tokenizer import TextTokenizer


def test_tokens_are_counted_over_utf8_bytes(tokenizer: TextTokenizer, new_corpus: Any) -> None:
    new_corpus.documents("validation", "chinese", ["1234", "大学"])
    measured = fertility.measure(tokenizer, new_corpus.directory, "chinese", 1000)
    assert (measured.documents, measured.bytes) == (2, 10)
    assert measured.tokens == 4 + len(tokenizer.encode("大学"))
    assert measured.tokens_per_byte == measured.tokens / 10
    assert measured.round_trip_failures == 0


def test_documents_that_do_not_survive_are_counted(new_corpus: Any) -> None:
    vocabulary = {character: i for i, character in enumerate("abc")}
    lossy = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    lossy.decoder = tokenizers.decoders.Fuse()
    new_corpus.documents("validation", "prose", ["abc", "abd", "xyz"])
    measured = fertility.measure(TextTokenizer(lossy, after(3, 8)), new_corpus.directory, "prose", 1000)
    assert measured.round_trip_failures == 2


def test_no_more_is_measured_than_asked(tokenizer: TextTokenizer, new_corpus: Any) -> None:
    new_corpus.documents("validation", "prose", [f"{i:03d}" * 10 for i in range(40)], rows_per_file=4)
    measured = fertility.measure(tokenizer, new_corpus.directory, "prose", 200)
    assert 200 <= measured.bytes < 400


def test_a_domain_without_validation_documents_has_no_tokens_per_byte(tokenizer: TextTokenizer, new_corpus: Any) -> None:
    measured = fertility.measure(tokenizer, new_corpus.directory, "maths", 1000)
    assert (measured.documents, measured.bytes, measured.tokens_per_byte) == (0, 0, 0.0)
