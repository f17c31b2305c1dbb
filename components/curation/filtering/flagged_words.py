"""The share of a document's words that its language's list of obscene and abusive words names.

Terms are runs of words as `components.curation.text.shingles` hashes them: whole words in any case, where a Han character is a
word by itself. So `ass` is not found in `class`, and Chinese needs no spaces.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import tables
from components.curation.config import SHIPPED, CurationConfig
from components.curation.filtering.ldnoobw import PUBLISHED, words_in
from components.curation.reading.locations import read_bytes
from components.curation.reading.sources import locate
from components.curation.text.shingles import words_of
from components.errors import ConfigError, SourceError
from components.machine_code import Hashes, compiled, mix

LISTS = "flagged-words.parquet"

_TERMS = pa.schema({"language": pa.string(), "term": pa.string()})


@dataclass(frozen=True, slots=True)
class Flagged:
    """What a document holds of a list."""

    terms: int
    """Places where one begins; of two that overlap the first, of two that begin together the longer."""
    ratio: float
    """Words in them, of all words."""


@dataclass(frozen=True, slots=True)
class WordList:
    """The terms of one language, hashed and sorted: their first words, and each whole."""

    heads: Hashes
    terms: Hashes
    longest: int
    """Words of the longest term."""

    @classmethod
    def of(cls, terms: Sequence[str]) -> "WordList":
        """From words and phrases; one without letters or digits finds nothing."""
        words = [found for found in map(words_of, terms) if len(found)]
        heads = np.array([found[0] for found in words], dtype=np.uint64)
        wholes = np.array([_whole(found) for found in words], dtype=np.uint64)
        return cls(np.unique(heads), np.unique(wholes), max(map(len, words), default=0))

    def flagged(self, text: str) -> Flagged:
        """Count the terms in a text."""
        words = words_of(text)
        terms, within = _count(words, self.heads, self.terms, self.longest)
        return Flagged(terms, within / max(1, len(words)))


@compiled
def _whole(words):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    for word in words:
        value = mix(value + word)
    return value


@compiled
def _is_among(sorted_values, value):  # type: ignore[no-untyped-def]
    place = np.searchsorted(sorted_values, value)
    return place < len(sorted_values) and sorted_values[place] == value


@compiled
def _count(words, heads, terms, longest):  # type: ignore[no-untyped-def]
    place, found, within = 0, 0, 0
    while place < len(words):
        length = 0
        if _is_among(heads, words[place]):
            value = np.uint64(0)
            for step in range(min(longest, len(words) - place)):
                value = mix(value + words[place + step])
                if _is_among(terms, value):
                    length = step + 1
        found += length > 0
        within += length
        place += max(1, length)
    return found, within


def terms_of(language: str, name: str) -> tuple[str, ...]:
    """The words and phrases of a list, without blank lines and those that begin with `#`.

    Raises:
        ConfigError: no list is shipped for that language.
        SourceError: the file cannot be read, is no UTF-8, or names nothing.
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


def write_lists(config: CurationConfig, place: Path) -> None:
    """Write the terms of every list below `place`, for whoever reads shards. Raises what `terms_of` raises."""
    rows = [
        {"language": language, "term": term}
        for language, name in sorted(config.flagged_words.items())
        for term in terms_of(language, name)
    ]
    tables.write(place / LISTS, pa.Table.from_pylist(rows, _TERMS))


def read_lists(place: Path) -> dict[str, WordList]:
    """The lists that `write_lists` wrote, by language; kept for the shards of this process, until they are written again."""
    return _read_lists(place, tables.version_of(place / LISTS))


@functools.lru_cache(maxsize=1)
def _read_lists(place: Path, state: tuple[int, ...]) -> dict[str, WordList]:
    terms: dict[str, list[str]] = {}
    for row in pq.read_table(place / LISTS).to_pylist():
        terms.setdefault(row["language"], []).append(row["term"])
    return {language: WordList.of(found) for language, found in terms.items()}
