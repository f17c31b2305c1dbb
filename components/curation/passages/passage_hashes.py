"""Hashes the passages of texts in place: whole lines, and every run of a given number of words.

Words are separated by white space and compared as written; each Han or kana character is a word. So a passage matches however its
lines are broken. A run of 50 words is slightly longer than the 50 BPE tokens of arXiv 2107.06499, section 4.1, and needs no
tokenizer. Runs of bytes would split words, and without single-character words, 50 words would be whole pages of Chinese.
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
"""Number of character positions in a word that have their own weight; later positions reuse these weights."""

KEY, CHECK = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)
"""Odd bases of the two polynomials modulo 2^64 over the words of a passage; together they give a 128-bit hash."""


class Words(NamedTuple):
    """The words of several texts, one text after another. A named tuple, since numba accepts those."""

    hashes: Hashes
    """Hash of each word, uint64 [words]."""
    starts: Numbers
    """Byte offset at which each word starts, int64 [words]."""
    ends: Numbers
    """Byte offset at which each word ends, int64 [words]."""
    opens_line: npt.NDArray[np.bool_]
    """Whether each word is the first of its line, bool [words]."""
    first: Numbers
    """Index of the first word of each text, then the number of all words, int64 [texts + 1]."""

    @classmethod
    def empty(cls, count: int, texts: int) -> "Words":
        """Uninitialised arrays for `count` words of `texts` texts."""
        starts, ends = (np.empty(count, dtype=np.int64) for _ in range(2))
        return cls(
            hashes=np.empty(count, dtype=np.uint64),
            starts=starts,
            ends=ends,
            opens_line=np.empty(count, dtype=bool),
            first=np.empty(texts + 1, dtype=np.int64),
        )

    def head(self, count: int) -> "Words":
        """The first `count` words, of the same texts."""
        return Words(self.hashes[:count], self.starts[:count], self.ends[:count], self.opens_line[:count], self.first)


class Passages(NamedTuple):
    """Lines or runs of several texts, in order. A named tuple, since numba accepts those."""

    key: Hashes
    """First half of each passage's hash, uint64 [passages]."""
    check: Hashes
    """Second half of the hash, uint64 [passages]."""
    text: Numbers
    """Number of the text that each passage is in, int64 [passages]."""
    word: Numbers
    """Index of the passage's first word within its text, int64 [passages]."""
    words: Numbers
    """Number of words of each passage, int64 [passages]."""

    @classmethod
    def empty(cls, count: int) -> "Passages":
        """Uninitialised arrays for `count` passages."""
        key, check = (np.empty(count, dtype=np.uint64) for _ in range(2))
        text, word, words = (np.empty(count, dtype=np.int64) for _ in range(3))
        return cls(key=key, check=check, text=text, word=word, words=words)

    def select(self, rows: Numbers | slice) -> "Passages":
        """The passages at the given rows."""
        return Passages(self.key[rows], self.check[rows], self.text[rows], self.word[rows], self.words[rows])


class Anchors(NamedTuple):
    """The lowest gram of each run of words. Equal runs have equal anchors, and there are far fewer distinct anchors than runs."""

    gram: Hashes
    """Hash of the anchor, uint64 [runs]."""
    moved: npt.NDArray[np.bool_]
    """Whether the anchor is at another position than the anchor of the previous run, bool [runs]."""


def words_in(raw: Bytes, offsets: Numbers) -> Words:
    """The words of texts: `raw` are the UTF-8 bytes of all texts, `offsets` int64 [texts + 1] where each starts."""
    words = Words.empty(int(offsets[-1] - offsets[0]) + 1, len(offsets) - 1)
    return words.head(split_words(raw, offsets, _whitespace_fold(), random(WEIGHTS, 1), words))


def lines_of(words: Words, min_words: int) -> Passages:
    """The lines with at least `min_words` words."""
    lines = Passages.empty(int(words.opens_line.sum()))
    return lines.select(slice(hash_lines(words, min_words, lines)))


def runs_of(words: Words, size: int) -> tuple[Passages, Anchors]:
    """Every run of `size` words, each with its anchor: the lowest hash among its grams, which have half as many words."""
    count = int(np.maximum(np.diff(words.first) - size + 1, 0).sum())
    runs = Passages.empty(count)
    runs.words[:] = size
    anchors = Anchors(gram=np.empty(count, dtype=np.uint64), moved=np.empty(count, dtype=bool))
    hash_runs(words, size, -(-size // 2), runs, anchors)
    return runs, anchors


def chunks_of(offsets: Numbers, size: int) -> Iterator[tuple[int, int]]:
    """Group neighbouring texts into chunks of up to `size` bytes, as (first, end); a longer text is a chunk of its own."""
    first = 0
    while first < len(offsets) - 1:
        end = max(first + 1, int(np.searchsorted(offsets, offsets[first] + size, side="right")) - 1)
        yield first, end
        first = end


@functools.cache
def _whitespace_fold() -> Fold:
    """The fold that separates words at white space and makes each Han and kana character a word."""
    fold = fold_of(WHITESPACE)
    single = np.isin(classes_of(np.arange(len(fold), dtype=np.uint32)), (CharacterClass.HAN, CharacterClass.KANA))
    return np.where(single, fold | SINGLE, fold).astype(np.uint32)


@compiled
def split_words(raw, offsets, fold, weights, words):  # type: ignore[no-untyped-def]
    """Fill `words` (a `Words`) and return their number.

    A word's hash is the sum of its characters times the weights of their positions, mixed after every 64 characters, and mixed
    again with the word's length.
    """
    hashes, starts, ends, opens_line, first = words
    zero, unit, last = np.uint64(0), np.uint64(1), np.uint64(WEIGHTS - 1)
    count = 0
    for text in range(len(offsets) - 1):
        first[text] = count
        value, length, position, stop = zero, zero, offsets[text], offsets[text + 1]
        new_line = True
        while position < stop:
            # Decode one UTF-8 character.
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

            # The character may end a word, start a line, and start a word, be a word by itself, or continue a word.
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
    """Fill `lines` with the lines that have at least `min_words` words, and return their number."""
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
    """`base` to the power of `exponent`, modulo 2^64."""
    product = np.uint64(1)
    for _ in range(exponent):
        product *= base
    return product


@compiled
def hash_runs(words, size, gram, runs, anchors):  # type: ignore[no-untyped-def]
    """Fill `runs` and `anchors` with every run of `size` words, by rolling polynomial hashes; return the number of runs.

    A monotonic queue holds the candidates for the lowest gram, with the lowest at its head. Of equal grams, the first stays at
    the head, so that overlapping equal runs at different positions have anchors at different positions.
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
            # Update the hashes of the run and of the gram that end with this word.
            code = hashes[start + word]
            key, check, value = key * KEY + code, check * CHECK + code, value * KEY + code
            if word >= gram:
                value -= hashes[start + word - gram] * gram_out
            if word >= size:
                key -= hashes[start + word - size] * key_out
                check -= hashes[start + word - size] * check_out

            # Add the gram to the queue, and write the run with the gram at the queue's head.
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
