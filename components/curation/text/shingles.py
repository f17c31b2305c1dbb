"""Words and shingles of UTF-8 texts, hashed where they lie: no Python object for a document, a word or a shingle."""

import functools

import numpy as np
import numpy.typing as npt

from components.curation.text.characters import CharacterClass, classes_of
from components.hashing import GOLDEN_RATIO, mixed
from components.machine_code import Hashes, compiled, mix

Fold = npt.NDArray[np.uint32]

ALPHANUMERIC, WHITESPACE = "alphanumeric", "whitespace"
"""What words are: runs of letters and digits in lower case with each Han and kana character by itself, or what `str.split`
finds, as it is written (arXiv 2107.06499, section 4.2)."""

SINGLE = np.uint32(1 << 31)
"""Marks a character that is a word by itself, in a `Fold`."""

_FIRST, _SECOND = GOLDEN_RATIO, np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd factors of the first and of the second eight bytes of a word."""

_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)
"""The low bytes of a number, by how many."""

_CODES = 0x40000
"""Code points that a fold knows; those above stand in no word (Unicode 15.1, blocks)."""


@functools.cache
def random(count: int, stream: int) -> Hashes:
    """Fixed odd factors, uint64 [count]; another stream has others."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * GOLDEN_RATIO
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
    room, found = (np.empty(len(raw) + 3, dtype=np.uint64) for _ in range(2))
    return found[: hash_words(raw, 0, len(raw), fold_of(words), room, found)]


def shingles_of(text: str, size: int, words: str = ALPHANUMERIC) -> Hashes:
    """A hash of each run of `size` words, uint64 [max(1, words - size + 1)]; a shorter text is one shingle."""
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    found, shingles = (np.empty(len(raw) + size + 2, dtype=np.uint64) for _ in range(2))
    return shingles[: hash_shingles(raw, 0, len(raw), fold_of(words), random(size, 2), found, shingles)]


@compiled
def fold_words(raw, start, end, fold, folded, edges):  # type: ignore[no-untyped-def]
    """Write `raw[start:end]` to `folded`, and to `edges` where words begin and end there; the number of words.

    No character takes more bytes than it had: one below 2^7 a byte, below 2^14 two, else three. Where a word ends is not branched
    on, since no processor foresees it: every character writes an edge to the next place, which moves on if it is one. Unsigned
    places spare the test for negative ones.
    """
    nothing, one, three = np.uint64(0), np.uint64(1), np.uint64(3)
    inside, count, size, place, stop = nothing, nothing, nothing, np.uint64(start), np.uint64(end)
    while place < stop:
        code = np.uint64(raw[place])
        place += one
        if code < np.uint64(0x80):
            value = np.uint64(fold[code])
            now = np.uint64(value > nothing)
            folded[size] = np.uint8(value - one)
            edges[count] = size
            count += now ^ inside
            inside = now
            size += one
            continue
        extra = one if code < np.uint64(0xE0) else np.uint64(2) if code < np.uint64(0xF0) else three
        code &= np.uint64(0x3F) >> extra
        for _ in range(extra):
            code = (code << np.uint64(6)) | (np.uint64(raw[place]) & np.uint64(0x3F))
            place += one
        value = np.uint64(fold[code]) if code < np.uint64(len(fold)) else nothing
        alone = value & np.uint64(SINGLE)
        now = np.uint64(value > nothing)
        if alone and inside:
            edges[count] = size
            count += one
            inside = nothing
        edges[count] = size
        count += now ^ inside
        inside = now
        code = (value & ~np.uint64(SINGLE)) - one
        if value and code < np.uint64(0x80):
            folded[size] = np.uint8(code)
            size += one
        elif value and code < np.uint64(0x4000):
            folded[size] = np.uint8(np.uint64(0x80) | (code >> np.uint64(8)))
            folded[size + one] = np.uint8(code)
            size += np.uint64(2)
        elif value:
            folded[size] = np.uint8(np.uint64(0xC0) | (code >> np.uint64(16)))
            folded[size + one] = np.uint8(code >> np.uint64(8))
            folded[size + np.uint64(2)] = np.uint8(code)
            size += three
        if alone:
            edges[count] = size
            count += one
            inside = nothing
    edges[count] = size
    return np.int64((count + inside) >> one)


@compiled
def eight(numbers, place):  # type: ignore[no-untyped-def]
    """Eight bytes of little-endian numbers, from any byte on."""
    number, shift = place >> np.uint64(3), (place & np.uint64(7)) << np.uint64(3)
    return (numbers[number] >> shift) | ((numbers[number + np.uint64(1)] << np.uint64(1)) << (np.uint64(63) - shift))


@compiled
def hash_words(raw, start, end, fold, room, found):  # type: ignore[no-untyped-def]
    """Hash the words of `raw[start:end]` into `found`, which has room for two more than there are bytes; their number.

    `room` has three numbers more than eighths of the bytes, uint64. A word is hashed eight bytes at a time: two of its numbers
    times their factors and its length, mixed; each further one is added to what is mixed so far. That takes 0.85 times the time
    of hashing it by characters (1.9 instead of 2.25 ns a byte of code).
    """
    count = fold_words(raw, start, end, fold, room.view(np.uint8), found)
    whole = np.uint64(8)
    for word in range(np.uint64(count)):
        # Edges are read before the hash that takes their place: a word has two.
        begin = found[np.uint64(2) * word]
        length = found[np.uint64(2) * word + np.uint64(1)] - begin
        first = eight(room, begin) & _MASKS[min(length, whole)]
        second = eight(room, begin + whole) & _MASKS[min(max(length, whole), np.uint64(16)) - whole]
        value = first * _FIRST + second * _SECOND + length
        done = np.uint64(16)
        while done < length:
            value = mix(value) + (eight(room, begin + done) & _MASKS[min(length - done, whole)])
            done += whole
        found[word] = mix(value)
    return count


@compiled
def hash_shingles(raw, start, end, fold, factors, words, shingles):  # type: ignore[no-untyped-def]
    """Hash the shingles of `raw[start:end]` into `shingles`; their number. `words` is room for the hashes of words.

    Both have room for two numbers more than there are bytes and words in a shingle. Word by word over all shingles, and not
    shingle by shingle, several are summed at once.
    """
    size = len(factors)
    found = hash_words(raw, start, end, fold, shingles, words)
    for missing in range(found, size):
        words[missing] = np.uint64(0)
    count = max(1, found - size + 1)
    shingles[:count] = np.uint64(0)
    for offset in range(size):
        factor = factors[offset]
        for place in range(count):
            shingles[place] += words[place + offset] * factor
    for place in range(count):
        shingles[place] = mix(shingles[place])
    return count
