"""Passages of texts, hashed where they lie: whole lines, and every run of so many words.

Words are what white space parts, as they are written, and each Han and kana character by itself: a passage is the same however
its lines are broken. A run of 50 of them is a little more than the 50 BPE tokens of arXiv 2107.06499, section 4.1, and needs no
tokenizer; bytes would cut words, and 50 words between spaces would be whole pages of Chinese.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.curation.text.characters import CharacterClass, classes_of
from components.curation.text.shingles import SINGLE, WHITESPACE, Fold, fold_of, random
from components.machine_code import Bytes, Hashes, Numbers, compiled, mix

NEWLINE = 10

PLACES = 64
"""Characters of a word that have weights of their own."""

KEY, CHECK = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)
"""Odd bases of the two polynomials modulo 2^64 by which words are joined: together a hash of 128 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The words of some texts, one after the other."""

    hashes: Hashes
    """uint64 [words]"""
    begins: Numbers
    """Where each begins in the bytes of the texts, int64 [words]."""
    ends: Numbers
    """Where each ends there, int64 [words]."""
    fresh: npt.NDArray[np.bool_]
    """Whether it is the first of its line, [words]."""
    first: Numbers
    """The first word of each text, and the number of all, int64 [texts + 1]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Units:
    """Passages of some texts, in their order."""

    key: Hashes
    """uint64 [units]"""
    check: Hashes
    """The other half of the hash, uint64 [units]."""
    text: Numbers
    """The number of its text, int64 [units]."""
    word: Numbers
    """Its first word, counted in its text, int64 [units]."""
    words: Numbers
    """How many words it has, int64 [units]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchors:
    """The least gram of each run of words: equal runs have equal ones, and few are distinct."""

    least: Hashes
    """uint64 [runs]"""
    moved: npt.NDArray[np.bool_]
    """Whether it stands elsewhere than that of the run before, [runs]."""


def words_in(raw: Bytes, offsets: Numbers) -> Words:
    """The words of texts; `offsets` int64 [texts + 1]."""
    size = int(offsets[-1] - offsets[0]) + 1
    hashes = np.empty(size, dtype=np.uint64)
    begins, ends = (np.empty(size, dtype=np.int64) for _ in range(2))
    fresh, first = np.empty(size, dtype=bool), np.empty(len(offsets), dtype=np.int64)
    count = split_words(raw, offsets, _written(), random(PLACES, 1), hashes, begins, ends, fresh, first)
    return Words(hashes=hashes[:count], begins=begins[:count], ends=ends[:count], fresh=fresh[:count], first=first)


def lines_of(words: Words, least: int) -> Units:
    """The lines of at least `least` words."""
    count = int(words.fresh.sum())
    key, check, text, word, size = _room(count)
    found = hash_lines(words.hashes, words.fresh, words.first, least, key, check, text, word, size)
    return Units(key=key[:found], check=check[:found], text=text[:found], word=word[:found], words=size[:found])


def runs_of(words: Words, size: int) -> tuple[Units, Anchors]:
    """Every run of `size` words, with the least of its grams of half as many."""
    count = int(np.maximum(np.diff(words.first) - size + 1, 0).sum())
    key, check, text, word, sizes = _room(count)
    sizes[:] = size
    least, moved = np.empty(count, dtype=np.uint64), np.empty(count, dtype=bool)
    hash_runs(words.hashes, words.first, size, -(-size // 2), key, check, text, word, least, moved)
    return Units(key=key, check=check, text=text, word=word, words=sizes), Anchors(least=least, moved=moved)


def _room(count: int) -> tuple[Hashes, Hashes, Numbers, Numbers, Numbers]:
    key, check = (np.empty(count, dtype=np.uint64) for _ in range(2))
    text, word, size = (np.empty(count, dtype=np.int64) for _ in range(3))
    return key, check, text, word, size


def slices(offsets: Numbers, most: int) -> Iterator[tuple[int, int]]:
    """Neighbouring texts of together about `most` bytes, as (first, end); a longer one by itself."""
    first = 0
    while first < len(offsets) - 1:
        end = max(first + 1, int(np.searchsorted(offsets, offsets[first] + most, side="right")) - 1)
        yield first, end
        first = end


@functools.cache
def _written() -> Fold:
    fold = fold_of(WHITESPACE)
    alone = np.isin(classes_of(np.arange(len(fold), dtype=np.uint32)), (CharacterClass.HAN, CharacterClass.KANA))
    return np.where(alone, fold | SINGLE, fold).astype(np.uint32)


@compiled
def split_words(raw, offsets, fold, weights, hashes, begins, ends, fresh, first):  # type: ignore[no-untyped-def]
    """Fill `Words`; their number.

    A word is the sum of its characters times the weights of their places, mixed after every 64 and with its length.
    """
    nothing, one, last = np.uint64(0), np.uint64(1), np.uint64(PLACES - 1)
    count = 0
    for text in range(len(offsets) - 1):
        first[text] = count
        value, length, place, stop = nothing, nothing, offsets[text], offsets[text + 1]
        breaks = True
        while place < stop:
            at = place
            code = np.uint64(raw[place])
            place += 1
            if code >= np.uint64(0x80):
                extra = one if code < np.uint64(0xE0) else np.uint64(2) if code < np.uint64(0xF0) else np.uint64(3)
                code &= np.uint64(0x3F) >> extra
                for _ in range(extra):
                    code = (code << np.uint64(6)) | (np.uint64(raw[place]) & np.uint64(0x3F))
                    place += 1
            folded = np.uint64(fold[code]) if code < np.uint64(len(fold)) else nothing
            alone = folded & np.uint64(SINGLE)
            if length and (folded == nothing or alone):
                hashes[count], ends[count] = mix(value + length), at
                count += 1
                value, length = nothing, nothing
            if code == np.uint64(NEWLINE):
                breaks = True
            if folded and length == nothing:
                begins[count], fresh[count] = at, breaks
                breaks = False
            if alone:
                hashes[count], ends[count] = mix(folded * weights[nothing] + one), place
                count += 1
            elif folded:
                value += folded * weights[length & last]
                length += one
                if length & last == nothing:
                    value = mix(value)
        if length:
            hashes[count], ends[count] = mix(value + length), stop
            count += 1
    first[len(offsets) - 1] = count
    return count


@compiled
def hash_lines(hashes, fresh, first, least, key, check, texts, words, sizes):  # type: ignore[no-untyped-def]
    """Fill `Units` with the lines of at least `least` words; their number."""
    found = 0
    for text in range(len(first) - 1):
        place = first[text]
        while place < first[text + 1]:
            start, one, two = place, np.uint64(0), np.uint64(0)
            while place < first[text + 1] and (place == start or not fresh[place]):
                one = mix(one * KEY + hashes[place])
                two = mix(two * CHECK + hashes[place])
                place += 1
            if place - start >= least:
                key[found], check[found] = one, two
                texts[found], words[found], sizes[found] = text, start - first[text], place - start
                found += 1
    return found


@compiled
def power(base, exponent):  # type: ignore[no-untyped-def]
    """A power modulo 2^64."""
    product = np.uint64(1)
    for _ in range(exponent):
        product *= base
    return product


@compiled
def hash_runs(hashes, first, size, gram, key, check, texts, words, least, moved):  # type: ignore[no-untyped-def]
    """Fill `Units` and `Anchors` with every run of `size` words, by polynomials that roll from word to word.

    The least of the last grams is the head of a queue that only rises; of equal ones the first stays, so that equal runs at
    different places have their anchors at different places too.
    """
    out_key, out_check, out_gram = power(KEY, size), power(CHECK, size), power(KEY, gram)
    longest = 0
    for text in range(len(first) - 1):
        longest = max(longest, first[text + 1] - first[text])
    queue, values = np.empty(longest + 1, dtype=np.int64), np.empty(longest + 1, dtype=np.uint64)
    found = 0
    for text in range(len(first) - 1):
        start, count = first[text], first[text + 1] - first[text]
        if count < size:
            continue
        one, two, short = np.uint64(0), np.uint64(0), np.uint64(0)
        head, tail, before = 0, 0, -1
        for place in range(count):
            word = hashes[start + place]
            one, two, short = one * KEY + word, two * CHECK + word, short * KEY + word
            if place >= gram:
                short -= hashes[start + place - gram] * out_gram
            if place >= size:
                one -= hashes[start + place - size] * out_key
                two -= hashes[start + place - size] * out_check
            if place + 1 >= gram:
                while tail > head and values[tail - 1] > short:
                    tail -= 1
                queue[tail], values[tail] = place + 1 - gram, short
                tail += 1
            if place + 1 >= size:
                begin = place + 1 - size
                while queue[head] < begin:
                    head += 1
                key[found], check[found], texts[found], words[found] = one, two, text, begin
                least[found], moved[found] = values[head], queue[head] != before
                before = queue[head]
                found += 1
    return found
