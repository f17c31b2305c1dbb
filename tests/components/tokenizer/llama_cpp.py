"""What llama.cpp makes of a text with a vocabulary of the pre-tokenizer `deepseek-llm`, written from its sources for comparison.

Source: llama.cpp at commit 0c1e57098: `unicode_regex_split` in `src/unicode.cpp`, the expressions of
LLAMA_VOCAB_PRE_TYPE_DEEPSEEK_LLM in `src/llama-vocab.cpp`, and there `llm_tokenizer_bpe_session`. Nothing of
`components.tokenizer` is used but the file `tokenizer.json`.
"""

import itertools
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import regex

CASED = regex.compile(r"[\p{Lu}\p{Ll}\p{Lt}]")

UNCASED = {*range(0x560, 0x589), 0x10C7, 0x10CD, *range(0x10D0, 0x1100), *range(0x1C80, 0x1C8B), 0x1D78}
"""Letters of two cases that the second expression leaves out: the lower case of Armenian and Georgian, and later ones."""

LETTERS = [code for code in range(0x2000) if CASED.match(chr(code)) and code not in UNCASED]
LETTERS += [0x295, *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)]
"""The letters of the second expression below U+2000, and the full-width ones; it has 500 more, which no test writes."""

WHITESPACE = {0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
"""Beyond ASCII. llama.cpp replaces each by a vertical tab, because `\\s` of the standard library of C++ matches ASCII alone."""

SPACE = r"[\t\n\x0b\f\r ]"


EXPRESSIONS = [
    regex.compile(expression)
    for expression in (
        r"[\r\n]",
        rf"{SPACE}?[{''.join(map(chr, LETTERS))}]+",
        rf"{SPACE}?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
        rf"{SPACE}+\Z",
        r"[\u0800-\u9fa5\uac00-\ud7ff]+",
    )
]


def split(text: str) -> list[str]:
    """The pieces of a text."""
    plain = "".join("\x0b" if ord(character) in WHITESPACE else character for character in text)
    digits = "".join("0" if unicodedata.category(character).startswith("N") else " " for character in text)
    spans = [(0, len(text))] if text else []
    for expression in EXPRESSIONS:
        spans = [inner for start, stop in spans for inner in _divided(expression, plain, start, stop)]
    numbers = regex.compile("0+")
    spans = [inner for start, stop in spans for inner in _divided(numbers, digits, start, stop)]
    return [text[start:stop] for start, stop in spans]


def _divided(expression: "regex.Pattern[str]", text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The matches in a piece, which is a text of its own, and what is between them."""
    position = start
    for match in expression.finditer(text[start:stop]):
        if position < start + match.start():
            yield position, start + match.start()
        position = start + match.end()
        yield start + match.start(), position
    if position < stop:
        yield position, stop


class Vocabulary:
    """The tokens and merges of a `tokenizer.json`."""

    def __init__(self, path: Path) -> None:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        self.ids: dict[str, int] = model["vocab"]
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without BOS and EOS."""
        return [self.ids[symbol] for piece in split(text) for symbol in self._merged([BYTES[byte] for byte in piece.encode()])]

    def _merged(self, symbols: list[str]) -> list[str]:
        """The pair of the lowest rank is merged, the leftmost of equals, until no pair has a rank."""
        while ranked := [(self.ranks[pair], at) for at, pair in enumerate(itertools.pairwise(symbols)) if pair in self.ranks]:
            _, at = min(ranked)
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
        return symbols


def _bytes() -> list[str]:
    """The character that stands for each byte: itself where it is printable, else the next from U+0100 on (GPT-2's encoder)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


BYTES = _bytes()
