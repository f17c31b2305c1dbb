"""Computes what the published heuristics measure of a document: words, lines, paragraphs and repeated n-grams.

Each measure is computed once, when a rule first needs it. Words are split at white space, as in Dolma and RedPajama. In scripts
without spaces, units are characters, and an n-gram of words has `CHARACTERS_PER_WORD * n` characters.

An n-gram can repeat only if both of its (n-1)-grams do, so each level examines only the repeats of the level below: at 5-grams,
that is a few per cent of ordinary text. `make bench-filters` compares this with datatrove, which joins and hashes every n-gram.
"""

import itertools
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from components.curation.text.characters import CharacterClass, Classes, Codes, in_unspaced_block
from components.machine_code import Numbers, compiled, mix

CHARACTERS_PER_WORD = 2
"""Characters per word in scripts without spaces. A Chinese word has 1.7 characters on average; published limits are for n-grams
of words."""

TERMINAL = (".", "!", "?", '"', "'", "”", "’", "。", "！", "？", "…", "」", "』")
"""Punctuation that ends a line of running text (C4, arXiv 1910.10683, section 2.2, and Chinese equivalents)."""

_PARAGRAPHS = re.compile(r"\n{2,}")
_SENTENCE_ENDS = re.compile(r"[.!?]+[\"')\]”’]*(?=\s|$)|[。！？]+")


@dataclass(frozen=True, slots=True)
class Repeats:
    """The n-grams that occur more than once. A unit is a word, or a character in scripts without spaces."""

    positions: Numbers
    """The unit at which each occurrence starts, ascending, int64 [occurrences]."""
    ranks: Numbers
    """Number of the n-gram of each occurrence, int64 [occurrences]."""
    counts: Numbers
    """Number of occurrences of each n-gram, by its number."""


class Measures:
    """The measures of one document. `spaced` says whether its words are separated by white space."""

    def __init__(self, text: str, codes: Codes, classes: Classes, *, spaced: bool) -> None:
        self.text = text
        self.codes = codes
        self.classes = classes
        self.spaced = spaced
        self._levels: list[Repeats] = []

    # Words

    @cached_property
    def _starts(self) -> Numbers:
        visible = self.classes != CharacterClass.SPACE
        first = visible.copy()
        first[1:] &= ~visible[:-1]
        return np.flatnonzero(first)

    @cached_property
    def split(self) -> list[str]:
        """The words, split at white space."""
        return self.text.split()

    @cached_property
    def _lengths(self) -> Numbers:
        """Characters of each unit: the length of each word, or 1 for each visible character in scripts without spaces."""
        if not self.spaced:
            return np.ones(len(self._ids), dtype=np.int64)
        return np.fromiter(map(len, self.split), dtype=np.int64, count=len(self.split))

    def _words_with(self, first: CharacterClass, last: CharacterClass) -> npt.NDArray[np.bool_]:
        """Whether each word contains a character of the classes from `first` to `last`, bool [words]."""
        if not len(self._starts):
            return np.zeros(0, dtype=bool)
        wanted = ((self.classes >= first) & (self.classes <= last)).view(np.uint8)
        return np.maximum.reduceat(wanted, self._starts).astype(bool)

    @cached_property
    def _proper(self) -> npt.NDArray[np.bool_]:
        return self._words_with(CharacterClass.LATIN, CharacterClass.DIGIT)

    def words(self) -> float:
        """Number of words with a letter or digit; in scripts without spaces, number of letters and digits."""
        if not self.spaced:
            return float(np.count_nonzero(self.classes >= CharacterClass.LATIN))
        return float(np.count_nonzero(self._proper))

    def mean_word_length(self) -> float:
        """Mean characters of the words with a letter or digit."""
        return float(self._lengths[self._proper].mean()) if self._proper.any() else 0.0

    def alphabetic_words(self) -> float:
        """Share of words with a letter; in scripts without spaces, share of letters among the visible characters."""
        if self.spaced:
            holding = self._words_with(CharacterClass.LATIN, CharacterClass.HAN)
            return float(holding.mean()) if len(holding) else 0.0
        letters = (self.classes >= CharacterClass.LATIN) & (self.classes <= CharacterClass.HAN)
        # Vowels and tones above and below a letter are combining marks: a third of the visible characters in Khmer.
        letters |= in_unspaced_block(self.codes) & (self.classes == CharacterClass.OTHER)
        return float(np.count_nonzero(letters)) / max(1, len(self._ids))

    def stop_words(self, listed: frozenset[str]) -> float:
        """Number of distinct words in `listed` that occur in the text."""
        if self.spaced:
            return float(len(listed.intersection(self.split)))
        return float(sum(word in self.text for word in listed))

    def hashes(self) -> float:
        """Number of `#` per word."""
        return self.text.count("#") / max(1, len(self._lengths))

    def ellipses(self) -> float:
        """Number of ellipses per word."""
        return (self.text.count("...") + self.text.count("…")) / max(1, len(self._lengths))

    # Lines and paragraphs

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank."""
        return [line for line in self.text.split("\n") if line and not line.isspace()]

    @cached_property
    def _paragraphs(self) -> list[str]:
        return _PARAGRAPHS.split(self.text.strip())

    def bullet_lines(self) -> float:
        """Share of lines that start with a bullet point."""
        return sum(line.lstrip().startswith(("•", "-", "*", "·", "●")) for line in self.lines) / max(1, len(self.lines))

    def ellipsis_lines(self) -> float:
        """Share of lines that end with an ellipsis."""
        return sum(line.endswith(("...", "…")) for line in self.lines) / max(1, len(self.lines))

    def terminal_lines(self) -> float:
        """Share of lines that end with the punctuation of running text, `TERMINAL`."""
        return sum(line.endswith(TERMINAL) for line in self.lines) / max(1, len(self.lines))

    def short_lines(self) -> float:
        """Share of lines with at most 30 characters."""
        return sum(len(line) <= 30 for line in self.lines) / max(1, len(self.lines))

    def lines_per_word(self) -> float:
        """Number of newlines per word."""
        return self.text.count("\n") / max(1, len(self._lengths))

    def repeated_lines(self) -> float:
        """Share of lines that repeat an earlier line."""
        return 1 - len(set(self.lines)) / max(1, len(self.lines))

    def repeated_line_characters(self) -> float:
        """Share of characters in lines that repeat an earlier line."""
        return _repeated_characters(self.lines) / max(1, len(self.text))

    def repeated_paragraphs(self) -> float:
        """Share of paragraphs (separated by blank lines) that repeat an earlier paragraph."""
        return 1 - len(set(self._paragraphs)) / len(self._paragraphs)

    def repeated_paragraph_characters(self) -> float:
        """Share of characters in paragraphs that repeat an earlier paragraph."""
        return _repeated_characters(self._paragraphs) / max(1, len(self.text))

    def sentences(self) -> float:
        """Number of sentences, counted up to three, since no rule needs more."""
        ends = _SENTENCE_ENDS.finditer(self.text)
        return float(sum(1 for _ in zip(range(3), ends, strict=False)))

    # Repeated n-grams

    @cached_property
    def _ids(self) -> Numbers:
        """A number for each unit; equal units have equal numbers."""
        if not self.spaced:
            return self.codes[self.classes != CharacterClass.SPACE].astype(np.int64)
        known = dict(zip(dict.fromkeys(self.split), itertools.count(), strict=False))
        return np.fromiter(map(known.__getitem__, self.split), dtype=np.int64, count=len(self.split))

    @cached_property
    def _ends(self) -> Numbers:
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self._lengths)])

    def _repeats(self, size: int) -> Repeats:
        if not self._levels:
            self._levels.append(Repeats(*_repeated(np.arange(len(self._ids)), self._ids)))
        while len(self._levels) < size:
            last = self._levels[-1]
            self._levels.append(Repeats(*_repeated(*_pairs(last.positions, last.ranks, len(last.counts)))))
        return self._levels[size - 1]

    def _size(self, words: int) -> int:
        return words if self.spaced else CHARACTERS_PER_WORD * words

    def top_gram(self, words: int) -> float:
        """Share of characters in the most frequent n-gram of `words` words that repeats; of several, the first one counts."""
        size = self._size(words)
        repeats = self._repeats(size)
        if not len(repeats.positions):
            return 0.0
        top = int(repeats.counts.argmax())
        start = repeats.positions[int(np.argmax(repeats.ranks == top))]
        spaces = size - 1 if self.spaced else 0
        return float(repeats.counts[top] * (self._ends[start + size] - self._ends[start] + spaces)) / len(self.text)

    def repeated_grams(self, words: int) -> float:
        """Share of characters in n-grams of `words` words that repeat an earlier one; each character counts at most once."""
        size = self._size(words)
        repeats = self._repeats(size)
        seen: set[int] = set()
        total, free = 0, 0
        ends = self._ends
        for start, rank in zip(repeats.positions.tolist(), repeats.ranks.tolist(), strict=True):
            if start < free:
                continue
            if rank in seen:
                total += int(ends[start + size] - ends[start])
                free = start + size
            seen.add(rank)
        return total / max(1, len(self.text))


def _repeated_characters(texts: list[str]) -> int:
    return sum(map(len, texts)) - sum(map(len, set(texts)))


@compiled
def _repeated(positions, keys):  # type: ignore[no-untyped-def]
    """The fields of `Repeats` for the keys that occur more than once, numbered in the order of their first occurrence."""
    capacity = 4
    while capacity < 2 * len(keys):
        capacity *= 2
    mask = np.uint64(capacity - 1)
    slots, groups = np.full(capacity, -1, dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    values, counts = np.empty(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.int64)
    distinct = 0
    for index in range(len(keys)):
        slot = mix(np.uint64(keys[index])) & mask
        while slots[slot] >= 0 and values[slots[slot]] != keys[index]:
            slot = (slot + np.uint64(1)) & mask
        if slots[slot] < 0:
            slots[slot], values[distinct] = distinct, keys[index]
            distinct += 1
        groups[index] = slots[slot]
        counts[slots[slot]] += 1
    return _without_single(positions, groups, counts[:distinct])


@compiled
def _without_single(positions, groups, counts):  # type: ignore[no-untyped-def]
    """The members of groups with at least two members, with the groups renumbered."""
    ranks, repeated, members = np.full(len(counts), -1, dtype=np.int64), 0, 0
    for group in range(len(counts)):
        if counts[group] > 1:
            ranks[group] = repeated
            counts[repeated] = counts[group]
            members += counts[group]
            repeated += 1
    kept_positions, kept_ranks, taken = np.empty(members, dtype=np.int64), np.empty(members, dtype=np.int64), 0
    for index in range(len(groups)):
        if ranks[groups[index]] >= 0:
            kept_positions[taken], kept_ranks[taken] = positions[index], ranks[groups[index]]
            taken += 1
    return kept_positions, kept_ranks, counts[:repeated]


@compiled
def _pairs(positions, ranks, distinct):  # type: ignore[no-untyped-def]
    """The positions of adjacent repeated n-grams, and a number for each pair that identifies the (n+1)-gram they form."""
    starts, keys = np.empty(len(positions), dtype=np.int64), np.empty(len(positions), dtype=np.int64)
    taken = 0
    for index in range(len(positions) - 1):
        if positions[index + 1] == positions[index] + 1:
            starts[taken], keys[taken] = positions[index], ranks[index] * distinct + ranks[index + 1]
            taken += 1
    return starts[:taken], keys[:taken]
