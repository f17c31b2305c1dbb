"""Computes the share of a document's words that are on its language's list of obscene and abusive words.

A term (word or phrase) matches a run of whole words, ignoring case. `components.curation.text.shingles` splits and hashes the
words; each Han or kana character is a word. So `ass` does not match in `class`, and Chinese text needs no spaces between words.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import tables
from components.curation.filtering.ldnoobw import PUBLISHED, words_in
from components.curation.reading.config import SHIPPED
from components.curation.reading.sources import locate
from components.curation.text.shingles import words_of
from components.errors import ConfigError, SourceError
from components.locations import read_bytes
from components.machine_code import Hashes, compiled, mix

LISTS_FILE = "flagged-words.parquet"

_TERMS = pa.schema({"language": pa.string(), "term": pa.string()})


@dataclass(frozen=True, slots=True)
class Flagged:
    """Matches of a list's terms in a document."""

    terms: int
    """Number of matches. Of two overlapping matches, the first counts; of two that start at the same word, the longer."""
    ratio: float
    """Fraction of the document's words that are part of a match."""


@dataclass(frozen=True, slots=True)
class WordList:
    """The hashed terms of one language."""

    first_words: Hashes
    """Hashes of the terms' first words, sorted, uint64."""
    terms: Hashes
    """Hashes of the whole terms, sorted, uint64."""
    max_words: int
    """Number of words in the longest term."""

    @classmethod
    def of(cls, terms: Sequence[str]) -> "WordList":
        """A list of words and phrases; those without letters or digits are ignored."""
        hashed = [words for words in map(words_of, terms) if len(words)]
        first_words = np.array([words[0] for words in hashed], dtype=np.uint64)
        wholes = np.array([_hash_of_term(words) for words in hashed], dtype=np.uint64)
        return cls(np.unique(first_words), np.unique(wholes), max(map(len, hashed), default=0))

    def flagged(self, text: str) -> Flagged:
        """The matches of terms in a text."""
        words = words_of(text)
        terms, within = _count(words, self.first_words, self.terms, self.max_words)
        return Flagged(terms, within / max(1, len(words)))


@compiled
def _hash_of_term(words):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    for word in words:
        value = mix(value + word)
    return value


@compiled
def _contains(sorted_values, value):  # type: ignore[no-untyped-def]
    index = np.searchsorted(sorted_values, value)
    return index < len(sorted_values) and sorted_values[index] == value


@compiled
def _count(words, first_words, terms, max_words):  # type: ignore[no-untyped-def]
    """The number of matches, and the number of words in them."""
    index, matches, within = 0, 0, 0
    while index < len(words):
        length = 0
        if _contains(first_words, words[index]):
            value = np.uint64(0)
            for step in range(min(max_words, len(words) - index)):
                value = mix(value + words[index + step])
                if _contains(terms, value):
                    length = step + 1
        matches += length > 0
        within += length
        index += max(1, length)
    return matches, within


def terms_of(language: str, name: str) -> tuple[str, ...]:
    """Terms of the list `name`: `ldnoobw` for the built-in one, or a path or URI. Blank lines and lines with `#` are ignored.

    Raises:
        ConfigError: there is no built-in list for `language`.
        SourceError: the file cannot be read, is not UTF-8, or contains no word.
    """
    if name == SHIPPED:
        if language not in PUBLISHED:
            known = ", ".join(sorted(PUBLISHED))
            raise ConfigError(
                f"flagged_words: the built-in list {SHIPPED!r} is not available for {language!r}, only for {known}; "
                "give the path or URI of a word list instead"
            )
        return words_in(language)
    try:
        lines = read_bytes(locate(name)).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"flagged words of {language}: {name} cannot be read as UTF-8 text ({error})") from error
    terms = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not any(len(words_of(term)) for term in terms):
        raise SourceError(f"flagged words of {language}: {name} contains no words; put a word or phrase on each line")
    return terms


def write_lists(lists: Mapping[str, str], directory: Path) -> None:
    """Write the terms of all lists to `directory`, for the workers that read shards; `lists` maps each language to its list.

    Raises what `terms_of` raises.
    """
    rows = [{"language": language, "term": term} for language, name in sorted(lists.items()) for term in terms_of(language, name)]
    tables.write(directory / LISTS_FILE, pa.Table.from_pylist(rows, _TERMS))


def read_lists(directory: Path) -> dict[str, WordList]:
    """The lists that `write_lists` wrote, by language, cached in this process until they are written again."""
    return _read_lists(directory, tables.version_of(directory / LISTS_FILE))


@functools.lru_cache(maxsize=1)
def _read_lists(directory: Path, version: tuple[int, ...]) -> dict[str, WordList]:
    terms: dict[str, list[str]] = {}
    for row in pq.read_table(directory / LISTS_FILE).to_pylist():
        terms.setdefault(row["language"], []).append(row["term"])
    return {language: WordList.of(own) for language, own in terms.items()}
