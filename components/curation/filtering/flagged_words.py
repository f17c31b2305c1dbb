"""The share of a document's words that are on its language's list of obscene and abusive words.

Terms are runs of words as hashed by `components.curation.text.shingles`: whole words in any case, where a Han character is a word
of its own. So `ass` does not match in `class`, and Chinese needs no spaces.
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

LISTS = "flagged-words.parquet"

_TERMS = pa.schema({"language": pa.string(), "term": pa.string()})


@dataclass(frozen=True, slots=True)
class Flagged:
    """The terms of a list in a document."""

    terms: int
    """Matches; of two that overlap the first counts, of two that start together the longer."""
    ratio: float
    """Words in matches over all words."""


@dataclass(frozen=True, slots=True)
class WordList:
    """The terms of one language, hashed and sorted: their first words, and the whole terms."""

    heads: Hashes
    terms: Hashes
    max_words: int
    """Words of the longest term."""

    @classmethod
    def of(cls, terms: Sequence[str]) -> "WordList":
        """From words and phrases; those without letters or digits are ignored."""
        hashed = [words for words in map(words_of, terms) if len(words)]
        heads = np.array([words[0] for words in hashed], dtype=np.uint64)
        wholes = np.array([_whole(words) for words in hashed], dtype=np.uint64)
        return cls(np.unique(heads), np.unique(wholes), max(map(len, hashed), default=0))

    def flagged(self, text: str) -> Flagged:
        """Count the terms in a text."""
        words = words_of(text)
        terms, within = _count(words, self.heads, self.terms, self.max_words)
        return Flagged(terms, within / max(1, len(words)))


@compiled
def _whole(words):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    for word in words:
        value = mix(value + word)
    return value


@compiled
def _contains(sorted_values, value):  # type: ignore[no-untyped-def]
    index = np.searchsorted(sorted_values, value)
    return index < len(sorted_values) and sorted_values[index] == value


@compiled
def _count(words, heads, terms, max_words):  # type: ignore[no-untyped-def]
    """Matches of terms, and words in them."""
    index, matches, within = 0, 0, 0
    while index < len(words):
        length = 0
        if _contains(heads, words[index]):
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
    """The words and phrases of a list, without blank lines and lines that start with `#`.

    Raises:
        ConfigError: no list is shipped for that language.
        SourceError: the file cannot be read, is not UTF-8, or contains no word.
    """
    if name == SHIPPED:
        if language not in PUBLISHED:
            known = ", ".join(sorted(PUBLISHED))
            raise ConfigError(f"flagged_words: {SHIPPED!r} has no list for {language!r}; allowed: {known}, or a file of your own")
        return words_in(language)
    try:
        lines = read_bytes(locate(name)).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"flagged words of {language}: {name} cannot be read as UTF-8 text ({error})") from error
    terms = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not any(len(words_of(term)) for term in terms):
        raise SourceError(f"flagged words of {language}: {name} names no word; put a word or phrase on each line")
    return terms


def write_lists(lists: Mapping[str, str], directory: Path) -> None:
    """Write the terms of every list, named by language, to `directory`, for the workers that read shards.

    Raises what `terms_of` raises.
    """
    rows = [{"language": language, "term": term} for language, name in sorted(lists.items()) for term in terms_of(language, name)]
    tables.write(directory / LISTS, pa.Table.from_pylist(rows, _TERMS))


def read_lists(directory: Path) -> dict[str, WordList]:
    """The lists that `write_lists` wrote, by language; cached in this process for its shards until they are written again."""
    return _read_lists(directory, tables.version_of(directory / LISTS))


@functools.lru_cache(maxsize=1)
def _read_lists(directory: Path, version: tuple[int, ...]) -> dict[str, WordList]:
    terms: dict[str, list[str]] = {}
    for row in pq.read_table(directory / LISTS).to_pylist():
        terms.setdefault(row["language"], []).append(row["term"])
    return {language: WordList.of(own) for language, own in terms.items()}
