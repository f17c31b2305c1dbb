"""Words and shingles of UTF-8 texts, hashed where they lie: no Python object for a document, a word or a shingle.

Compiled on first use by numba, whose cache keeps the machine code (`infra.settings.machine_code` says where).
"""

import functools
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from components.curation.characters import CharacterClass, classes_of

Bytes = npt.NDArray[np.uint8]
Fold = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

ALPHANUMERIC, WHITESPACE = "alphanumeric", "whitespace"
"""What words are: runs of letters and digits in lower case with each Han and kana character by itself, or what `str.split`
finds, as it is written (arXiv 2107.06499, section 4.2)."""

SINGLE = np.uint32(1 << 31)
"""Marks a character that is a word by itself, in a `Fold`."""

PLACES = 64
"""Characters of a word that have weights of their own."""

_CODES = 0x40000
"""Code points that a fold knows; those above stand in no word (Unicode 15.1, blocks)."""


def mixed(values: Hashes) -> Hashes:
    """A bijection that spreads every input bit over all 64 (the finaliser of SplitMix64: Steele, Lea, Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@functools.cache
def random(count: int, stream: int) -> Hashes:
    """Fixed odd factors, uint64 [count]; another stream has others."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return mixed(steps + np.uint64(stream)) | np.uint64(1)


@functools.cache
def fold_of(words: str) -> Fold:
    """For each code point 0 where it stands in no word, else one more than what it counts as, uint32 [`_CODES`]."""
    codes = np.arange(_CODES, dtype=np.uint32)
    classes = classes_of(codes)
    if words == WHITESPACE:
        return np.where(classes == CharacterClass.SPACE, np.uint32(0), codes + np.uint32(1))
    lower = codes.copy()
    for code in range(0x20000):
        small = chr(code).lower()
        if len(small) == 1:
            lower[code] = ord(small)
    alone = np.isin(classes, (CharacterClass.HAN, CharacterClass.KANA))
    fold = np.where(alone, (lower + np.uint32(1)) | SINGLE, lower + np.uint32(1))
    return np.where(classes >= CharacterClass.LATIN, fold, np.uint32(0)).astype(np.uint32)


def words_of(text: str, words: str = ALPHANUMERIC) -> Hashes:
    """A hash of each word in order, uint64 [words]."""
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    found = np.empty(len(raw) + 2, dtype=np.uint64)
    return found[: hash_words(raw, 0, len(raw), fold_of(words), random(PLACES, 1), found)]


def shingles_of(text: str, size: int, words: str = ALPHANUMERIC) -> Hashes:
    """A hash of each run of `size` words, uint64 [max(1, words - size + 1)]; a shorter text is one shingle."""
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    found, shingles = (np.empty(len(raw) + size + 1, dtype=np.uint64) for _ in range(2))
    return shingles[: hash_shingles(raw, 0, len(raw), fold_of(words), random(PLACES, 1), random(size, 2), found, shingles)]


def compiled(function: Any) -> Any:
    """Machine code on first use, kept in numba's cache."""
    return numba.njit(cache=True, nogil=True, boundscheck=False)(function)


@compiled
def mix(value):  # type: ignore[no-untyped-def]
    """`mixed` of one value."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def hash_words(raw, start, end, fold, weights, found):  # type: ignore[no-untyped-def]
    """Hash the words of `raw[start:end]` into `found`, which has room for one more than there may be; their number.

    A word is the sum of its characters times the weights of their places, mixed after every 64 (multilinear hashing), then mixed
    with its length: no character waits for the one before it. Where a word ends is not branched on, since no processor foresees
    it: every character writes the word so far to the next place, which moves on at the end of a word. That, and mixing all words
    at last, takes 0.6 times the time. Unsigned places spare the test for negative ones.
    """
    nothing, one, last = np.uint64(0), np.uint64(1), np.uint64(PLACES - 1)
    count, value, length, place, stop = nothing, nothing, nothing, np.uint64(start), np.uint64(end)
    while place < stop:
        code = np.uint64(raw[place])
        place += one
        if code >= np.uint64(0x80):
            extra = one if code < np.uint64(0xE0) else np.uint64(2) if code < np.uint64(0xF0) else np.uint64(3)
            code &= np.uint64(0x3F) >> extra
            for _ in range(extra):
                code = (code << np.uint64(6)) | (np.uint64(raw[place]) & np.uint64(0x3F))
                place += one
        folded = np.uint64(fold[code]) if code < np.uint64(len(fold)) else nothing
        found[count] = value + length
        if folded & np.uint64(SINGLE):
            count += np.uint64(length > nothing)
            found[count] = folded * weights[nothing] + one
            count += one
            value, length = nothing, nothing
            continue
        inside = np.uint64(folded > nothing)
        count += (one - inside) & np.uint64(length > nothing)
        keep = nothing - inside
        value = (value + folded * weights[length & last]) & keep
        length = (length + one) & keep
        if length and length & last == nothing:
            value = mix(value)
    found[count] = value + length
    count += np.uint64(length > nothing)
    for word in range(count):
        found[word] = mix(found[word])
    return np.int64(count)


@compiled
def hash_shingles(raw, start, end, fold, weights, factors, words, shingles):  # type: ignore[no-untyped-def]
    """Hash the shingles of `raw[start:end]` into `shingles`; their number. `words` is room for the hashes of words."""
    size = len(factors)
    found = hash_words(raw, start, end, fold, weights, words)
    for missing in range(found, size):
        words[missing] = np.uint64(0)
    count = max(1, found - size + 1)
    for place in range(count):
        total = np.uint64(0)
        for offset in range(size):
            total += words[place + offset] * factors[offset]
        shingles[place] = mix(total)
    return count
