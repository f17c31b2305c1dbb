"""What the published heuristics measure of one document: words, lines, paragraphs and repeated n-grams.

Everything is counted once, when a rule first asks. Words are split by white space, as Dolma and RedPajama do; where a script
has no spaces, characters stand for words and an n-gram has `CHARACTERS_PER_WORD * n` of them. An n-gram can only occur again
where both of its (n-1)-grams do, so each level looks only at what the level below found repeated: at 5-grams that is a few
per cent of ordinary text. `make bench-filters` measures this against datatrove, which joins and hashes every n-gram.
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
"""A Chinese word has 1.7 characters on average, so n words are about 2n characters; the limits are for n-grams of words."""

TERMINAL = (".", "!", "?", '"', "'", "”", "’", "。", "！", "？", "…", "」", "』")
"""How a line of running text ends (C4, arXiv 1910.10683, section 2.2, and its Chinese forms)."""

_PARAGRAPHS = re.compile(r"\n{2,}")
_SENTENCE_ENDS = re.compile(r"[.!?]+[\"')\]”’]*(?=\s|$)|[。！？]+")


@dataclass(frozen=True, slots=True)
class Repeats:
    """The n-grams that occur more than once."""

    positions: Numbers
    """Where one starts, ascending, in units."""
    ranks: Numbers
    """Which n-gram starts there."""
    counts: Numbers
    """How often each n-gram occurs, by rank."""


class Measures:
    """The measures of one document. `spaced`: whether white space parts its words."""

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
        """What white space parts."""
        return self.text.split()

    @cached_property
    def _lengths(self) -> Numbers:
        """Characters of each unit: of each word, or 1 for each character that is no space."""
        if not self.spaced:
            return np.ones(len(self._ids), dtype=np.int64)
        return np.fromiter(map(len, self.split), dtype=np.int64, count=len(self.split))

    def _words_with(self, least: CharacterClass, most: CharacterClass) -> npt.NDArray[np.bool_]:
        """Which words hold a character of the classes from `least` to `most`."""
        if not len(self._starts):
            return np.zeros(0, dtype=bool)
        wanted = ((self.classes >= least) & (self.classes <= most)).view(np.uint8)
        return np.maximum.reduceat(wanted, self._starts).astype(bool)

    @cached_property
    def _proper(self) -> npt.NDArray[np.bool_]:
        return self._words_with(CharacterClass.LATIN, CharacterClass.DIGIT)

    def words(self) -> float:
        """Words that are not punctuation alone; where there are no spaces, letters and digits."""
        if not self.spaced:
            return float(np.count_nonzero(self.classes >= CharacterClass.LATIN))
        return float(np.count_nonzero(self._proper))

    def mean_word_length(self) -> float:
        """Characters of a word that is not punctuation alone."""
        return float(self._lengths[self._proper].mean()) if self._proper.any() else 0.0

    def alphabetic_words(self) -> float:
        """Share of the words with a letter in them; where there are no spaces, of letters in what is visible."""
        if self.spaced:
            found = self._words_with(CharacterClass.LATIN, CharacterClass.HAN)
            return float(found.mean()) if len(found) else 0.0
        letters = (self.classes >= CharacterClass.LATIN) & (self.classes <= CharacterClass.HAN)
        # Vowels and tones above and below a letter are marks, a third of what is visible in Khmer.
        letters |= in_unspaced_block(self.codes) & (self.classes == CharacterClass.OTHER)
        return float(np.count_nonzero(letters)) / max(1, len(self._ids))

    def stop_words(self, listed: frozenset[str]) -> float:
        """How many of the listed words occur."""
        if self.spaced:
            return float(len(listed.intersection(self.split)))
        return float(sum(word in self.text for word in listed))

    def hashes(self) -> float:
        """`#` for each word."""
        return self.text.count("#") / max(1, len(self._lengths))

    def ellipses(self) -> float:
        """Ellipses for each word."""
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
        """Share of the lines that begin with a bullet point."""
        return sum(line.lstrip().startswith(("•", "-", "*", "·", "●")) for line in self.lines) / max(1, len(self.lines))

    def ellipsis_lines(self) -> float:
        """Share of the lines that end with an ellipsis."""
        return sum(line.endswith(("...", "…")) for line in self.lines) / max(1, len(self.lines))

    def terminal_lines(self) -> float:
        """Share of the lines that end as running text does."""
        return sum(line.endswith(TERMINAL) for line in self.lines) / max(1, len(self.lines))

    def short_lines(self) -> float:
        """Share of the lines of at most 30 characters."""
        return sum(len(line) <= 30 for line in self.lines) / max(1, len(self.lines))

    def lines_per_word(self) -> float:
        """Line ends for each word."""
        return self.text.count("\n") / max(1, len(self._lengths))

    def repeated_lines(self) -> float:
        """Share of the lines that repeat an earlier one."""
        return 1 - len(set(self.lines)) / max(1, len(self.lines))

    def repeated_line_characters(self) -> float:
        """Share of the characters in such lines."""
        return _repeated_characters(self.lines) / max(1, len(self.text))

    def repeated_paragraphs(self) -> float:
        """Share of the paragraphs, parted by blank lines, that repeat an earlier one."""
        return 1 - len(set(self._paragraphs)) / len(self._paragraphs)

    def repeated_paragraph_characters(self) -> float:
        """Share of the characters in such paragraphs."""
        return _repeated_characters(self._paragraphs) / max(1, len(self.text))

    def sentences(self) -> float:
        """Sentence ends, three at most: no rule asks for more."""
        found = _SENTENCE_ENDS.finditer(self.text)
        return float(sum(1 for _ in zip(range(3), found, strict=False)))

    # Repeated n-grams

    @cached_property
    def _ids(self) -> Numbers:
        """A number for each unit, equal for equal units."""
        if not self.spaced:
            return self.codes[self.classes != CharacterClass.SPACE].astype(np.int64)
        known = dict(zip(dict.fromkeys(self.split), itertools.count(), strict=False))
        return np.fromiter(map(known.__getitem__, self.split), dtype=np.int64, count=len(self.split))

    @cached_property
    def _ends(self) -> Numbers:
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self._lengths)])

    def _repeats(self, size: int) -> Repeats:
        if not self._levels:
            self._levels.append(Repeats(*_again(np.arange(len(self._ids)), self._ids)))
        while len(self._levels) < size:
            last = self._levels[-1]
            self._levels.append(Repeats(*_again(*_pairs(last.positions, last.ranks, len(last.counts)))))
        return self._levels[size - 1]

    def _size(self, words: int) -> int:
        return words if self.spaced else CHARACTERS_PER_WORD * words

    def top_gram(self, words: int) -> float:
        """Share of the characters in the commonest n-gram of `words` words that occurs more than once; of several, the first."""
        size = self._size(words)
        found = self._repeats(size)
        if not len(found.positions):
            return 0.0
        top = int(found.counts.argmax())
        place = found.positions[int(np.argmax(found.ranks == top))]
        spaces = size - 1 if self.spaced else 0
        return float(found.counts[top] * (self._ends[place + size] - self._ends[place] + spaces)) / len(self.text)

    def repeated_grams(self, words: int) -> float:
        """Share of the characters in n-grams of `words` words that repeat an earlier one; none is counted twice."""
        size = self._size(words)
        found = self._repeats(size)
        seen: set[int] = set()
        total, free = 0, 0
        ends = self._ends
        for place, rank in zip(found.positions.tolist(), found.ranks.tolist(), strict=True):
            if place < free:
                continue
            if rank in seen:
                total += int(ends[place + size] - ends[place])
                free = place + size
            seen.add(rank)
        return total / max(1, len(self.text))


def _repeated_characters(parts: list[str]) -> int:
    return sum(map(len, parts)) - sum(map(len, set(parts)))


@compiled
def _again(positions, keys):  # type: ignore[no-untyped-def]
    """`Repeats` of the keys: those that occur once left out, the others ranked in the order in which they first occur."""
    room = 4
    while room < 2 * len(keys):
        room *= 2
    mask = np.uint64(room - 1)
    slots, groups = np.full(room, -1, dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    named, counts = np.empty(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.int64)
    found = 0
    for place in range(len(keys)):
        slot = mix(np.uint64(keys[place])) & mask
        while slots[slot] >= 0 and named[slots[slot]] != keys[place]:
            slot = (slot + np.uint64(1)) & mask
        if slots[slot] < 0:
            slots[slot], named[found] = found, keys[place]
            found += 1
        groups[place] = slots[slot]
        counts[slots[slot]] += 1
    return _without_single(positions, groups, counts[:found])


@compiled
def _without_single(positions, groups, counts):  # type: ignore[no-untyped-def]
    """The members of the groups that have more than one, with the groups numbered anew."""
    ranks, repeated, members = np.full(len(counts), -1, dtype=np.int64), 0, 0
    for group in range(len(counts)):
        if counts[group] > 1:
            ranks[group] = repeated
            counts[repeated] = counts[group]
            members += counts[group]
            repeated += 1
    places, listed, taken = np.empty(members, dtype=np.int64), np.empty(members, dtype=np.int64), 0
    for place in range(len(groups)):
        if ranks[groups[place]] >= 0:
            places[taken], listed[taken] = positions[place], ranks[groups[place]]
            taken += 1
    return places, listed, counts[:repeated]


@compiled
def _pairs(positions, ranks, distinct):  # type: ignore[no-untyped-def]
    """Where repeated n-grams follow one another, and a number for each such pair, which names the n-gram that both make."""
    places, keys = np.empty(len(positions), dtype=np.int64), np.empty(len(positions), dtype=np.int64)
    taken = 0
    for place in range(len(positions) - 1):
        if positions[place + 1] == positions[place] + 1:
            places[taken], keys[taken] = positions[place], ranks[place] * distinct + ranks[place + 1]
            taken += 1
    return places[:taken], keys[:taken]
