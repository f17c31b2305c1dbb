"""Passages of texts, hashed where they lie: whole lines, and every run of so many words.

Words are what white space separates, as they are written, and each Han and kana character by itself: a passage is the same
however its lines are broken. A run of 50 of them is a little more than the 50 BPE tokens of arXiv 2107.06499, section 4.1, and
needs no tokenizer; bytes would cut words, and 50 words between spaces would be whole pages of Chinese.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.curation.text.characters import CharacterClass, classes_of
from components.curation.text.shingles import SINGLE, WHITESPACE, Fold, fold_of, random
from components.machine_code import Bytes, Hashes, Numbers, compiled, mix

NEWLINE = 10

WEIGHTS = 64
"""Characters of a word that have weights of their own."""

KEY, CHECK = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)
"""Odd bases of the two polynomials modulo 2^64 by which words are joined: together a hash of 128 bits."""


class Words(NamedTuple):
    """The words of some texts, one after the other; a named tuple, as machine code takes those."""

    hashes: Hashes
    """uint64 [words]"""
    starts: Numbers
    """Where each starts in the bytes of the texts, int64 [words]."""
    ends: Numbers
    """Where each ends there, int64 [words]."""
    opens_line: npt.NDArray[np.bool_]
    """Whether it is the first of its line, [words]."""
    first: Numbers
    """The first word of each text, and the number of all, int64 [texts + 1]."""

    @classmethod
    def empty(cls, count: int, texts: int) -> "Words":
        """Room for `count` words of `texts` texts."""
        starts, ends = (np.empty(count, dtype=np.int64) for _ in range(2))
        return cls(
            hashes=np.empty(count, dtype=np.uint64),
            starts=starts,
            ends=ends,
            opens_line=np.empty(count, dtype=bool),
            first=np.empty(texts + 1, dtype=np.int64),
        )

    def head(self, count: int) -> "Words":
        """The first `count` of them, of the same texts."""
        return Words(self.hashes[:count], self.starts[:count], self.ends[:count], self.opens_line[:count], self.first)


class Passages(NamedTuple):
    """Lines or runs of some texts, in their order; a named tuple, as machine code takes those."""

    key: Hashes
    """uint64 [passages]"""
    check: Hashes
    """The other half of the hash, uint64 [passages]."""
    text: Numbers
    """The number of its text, int64 [passages]."""
    word: Numbers
    """Its first word, counted in its text, int64 [passages]."""
    words: Numbers
    """How many words it has, int64 [passages]."""

    @classmethod
    def empty(cls, count: int) -> "Passages":
        """Room for `count` passages."""
        key, check = (np.empty(count, dtype=np.uint64) for _ in range(2))
        text, word, words = (np.empty(count, dtype=np.int64) for _ in range(3))
        return cls(key=key, check=check, text=text, word=word, words=words)

    def select(self, rows: Numbers | slice) -> "Passages":
        """Some of them."""
        return Passages(self.key[rows], self.check[rows], self.text[rows], self.word[rows], self.words[rows])


class Anchors(NamedTuple):
    """The lowest gram of each run of words: equal runs have equal ones, and few are distinct."""

    gram: Hashes
    """uint64 [runs]"""
    moved: npt.NDArray[np.bool_]
    """Whether it is at another position than that of the run before, [runs]."""


def words_in(raw: Bytes, offsets: Numbers) -> Words:
    """The words of texts; `offsets` int64 [texts + 1]."""
    words = Words.empty(int(offsets[-1] - offsets[0]) + 1, len(offsets) - 1)
    return words.head(split_words(raw, offsets, _whitespace_fold(), random(WEIGHTS, 1), words))


def lines_of(words: Words, min_words: int) -> Passages:
    """The lines of at least `min_words` words."""
    lines = Passages.empty(int(words.opens_line.sum()))
    return lines.select(slice(hash_lines(words, min_words, lines)))


def runs_of(words: Words, size: int) -> tuple[Passages, Anchors]:
    """Every run of `size` words, with the lowest of its grams of half as many."""
    count = int(np.maximum(np.diff(words.first) - size + 1, 0).sum())
    runs = Passages.empty(count)
    runs.words[:] = size
    anchors = Anchors(gram=np.empty(count, dtype=np.uint64), moved=np.empty(count, dtype=bool))
    hash_runs(words, size, -(-size // 2), runs, anchors)
    return runs, anchors


def chunks_of(offsets: Numbers, size: int) -> Iterator[tuple[int, int]]:
    """Neighbouring texts of together about `size` bytes, as (first, end); a longer one by itself."""
    first = 0
    while first < len(offsets) - 1:
        end = max(first + 1, int(np.searchsorted(offsets, offsets[first] + size, side="right")) - 1)
        yield first, end
        first = end


@functools.cache
def _whitespace_fold() -> Fold:
    """Words between white space, with each Han and kana character by itself."""
    fold = fold_of(WHITESPACE)
    single = np.isin(classes_of(np.arange(len(fold), dtype=np.uint32)), (CharacterClass.HAN, CharacterClass.KANA))
    return np.where(single, fold | SINGLE, fold).astype(np.uint32)


@compiled
def split_words(raw, offsets, fold, weights, words):  # type: ignore[no-untyped-def]
    """Fill `Words`; their number.

    A word is the sum of its characters times the weights of their positions, mixed after every 64 and with its length.
    """
    hashes, starts, ends, opens_line, first = words
    zero, unit, last = np.uint64(0), np.uint64(1), np.uint64(WEIGHTS - 1)
    count = 0
    for text in range(len(offsets) - 1):
        first[text] = count
        value, length, position, stop = zero, zero, offsets[text], offsets[text + 1]
        new_line = True
        while position < stop:
            # One character of UTF-8.
            start = position
            code = np.uint64(raw[position])
            position += 1
            if code >= np.uint64(0x80):
                extra = unit if code < np.uint64(0xE0) else np.uint64(2) if code < np.uint64(0xF0) else np.uint64(3)
                code &= np.uint64(0x3F) >> extra
                for _ in range(extra):
                    code = (code << np.uint64(6)) | (np.uint64(raw[position]) & np.uint64(0x3F))
                    position += 1
            folded = np.uint64(fold[code]) if code < np.uint64(len(fold)) else zero
            single = folded & np.uint64(SINGLE)

            # It ends a word, opens a line, starts a word, is a word, or continues one.
            if length and (folded == zero or single):
                hashes[count], ends[count] = mix(value + length), start
                count += 1
                value, length = zero, zero
            if code == np.uint64(NEWLINE):
                new_line = True
            if folded and length == zero:
                starts[count], opens_line[count] = start, new_line
                new_line = False
            if single:
                hashes[count], ends[count] = mix(folded * weights[zero] + unit), position
                count += 1
            elif folded:
                value += folded * weights[length & last]
                length += unit
                if length & last == zero:
                    value = mix(value)
        if length:
            hashes[count], ends[count] = mix(value + length), stop
            count += 1
    first[len(offsets) - 1] = count
    return count


@compiled
def hash_lines(words, min_words, lines):  # type: ignore[no-untyped-def]
    """Fill `lines` with the lines of at least `min_words` words; their number."""
    hashes, opens_line, first = words.hashes, words.opens_line, words.first
    count = 0
    for text in range(len(first) - 1):
        word = first[text]
        while word < first[text + 1]:
            start, key, check = word, np.uint64(0), np.uint64(0)
            while word < first[text + 1] and (word == start or not opens_line[word]):
                key = mix(key * KEY + hashes[word])
                check = mix(check * CHECK + hashes[word])
                word += 1
            if word - start >= min_words:
                lines.key[count], lines.check[count] = key, check
                lines.text[count], lines.word[count], lines.words[count] = text, start - first[text], word - start
                count += 1
    return count


@compiled
def power(base, exponent):  # type: ignore[no-untyped-def]
    """A power modulo 2^64."""
    product = np.uint64(1)
    for _ in range(exponent):
        product *= base
    return product


@compiled
def hash_runs(words, size, gram, runs, anchors):  # type: ignore[no-untyped-def]
    """Fill `runs` and `anchors` with every run of `size` words, by polynomials that roll from word to word.

    The lowest of the last grams is the head of a queue that only rises; of equal ones the first stays, so that equal runs at
    different positions have their anchors at different positions too.
    """
    hashes, first = words.hashes, words.first
    key_out, check_out, gram_out = power(KEY, size), power(CHECK, size), power(KEY, gram)
    longest = 0
    for text in range(len(first) - 1):
        longest = max(longest, first[text + 1] - first[text])
    queue, values = np.empty(longest + 1, dtype=np.int64), np.empty(longest + 1, dtype=np.uint64)
    run = 0
    for text in range(len(first) - 1):
        start, count = first[text], first[text + 1] - first[text]
        if count < size:
            continue
        key, check, value = np.uint64(0), np.uint64(0), np.uint64(0)
        head, tail, anchor = 0, 0, -1
        for word in range(count):
            # Hashes of the run and of the gram that end with this word.
            code = hashes[start + word]
            key, check, value = key * KEY + code, check * CHECK + code, value * KEY + code
            if word >= gram:
                value -= hashes[start + word - gram] * gram_out
            if word >= size:
                key -= hashes[start + word - size] * key_out
                check -= hashes[start + word - size] * check_out

            # The gram goes into the queue, the run out with the queue's head.
            if word + 1 >= gram:
                while tail > head and values[tail - 1] > value:
                    tail -= 1
                queue[tail], values[tail] = word + 1 - gram, value
                tail += 1
            if word + 1 >= size:
                run_start = word + 1 - size
                while queue[head] < run_start:
                    head += 1
                runs.key[run], runs.check[run], runs.text[run], runs.word[run] = key, check, text, run_start
                anchors.gram[run], anchors.moved[run] = values[head], queue[head] != anchor
                anchor = queue[head]
                run += 1
    return run
