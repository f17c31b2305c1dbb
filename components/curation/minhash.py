"""Word shingles, MinHash signatures and LSH bands as array arithmetic.

The Jaccard similarity of two documents is that of their sets of shingles. Two signatures agree at a position with that
probability (Broder 1997), and share at least one of b bands of r positions with probability 1 - (1 - s^r)^b
(Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, section 3.4.2).
"""

import functools

import numpy as np
import numpy.typing as npt

from components.curation.characters import CharacterClass, classes_of, codes_of

Hashes = npt.NDArray[np.uint64]
Signature = npt.NDArray[np.uint32]

RECALL = 0.95
"""Share of the pairs right at the threshold that the bands must find; more similar pairs are found more surely."""

BLOCK = 2048
"""Shingles hashed at a time: the table of all permutations of a block stays in the processor's cache."""


def mixed(values: Hashes) -> Hashes:
    """A bijection that spreads every input bit over all 64 (the finaliser of SplitMix64: Steele, Lea, Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@functools.cache
def _random(count: int, stream: int) -> Hashes:
    return mixed(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream))


def words_of(text: str) -> Hashes:
    """A hash of each word in order, uint64 [words]: runs of letters and digits in lower case, single Han and kana characters."""
    codes = codes_of(text.lower())
    classes = classes_of(codes)
    inside = classes >= CharacterClass.LATIN
    single = (classes == CharacterClass.HAN) | (classes == CharacterClass.KANA)
    starts_word = inside.copy()
    starts_word[1:] &= ~inside[:-1] | single[1:] | single[:-1]
    starts = np.flatnonzero(starts_word)
    if not len(starts):
        return np.zeros(0, dtype=np.uint64)
    codes, inside, starts = codes[starts[0] :], inside[starts[0] :], starts - starts[0]
    positions = np.arange(len(codes)) - np.repeat(starts, np.diff(starts, append=len(codes)))
    letters = mixed(codes.astype(np.uint64)) * _random(64, 1)[positions & 63]
    letters[~inside] = 0
    return np.add.reduceat(letters, starts)


def shingles_of(text: str, size: int) -> Hashes:
    """A hash of each run of `size` words, uint64 [max(1, words - size + 1)]; a shorter text is one shingle."""
    words = words_of(text)
    if len(words) < size:
        words = np.concatenate([words, np.zeros(size - len(words), dtype=np.uint64)])
    count = len(words) - size + 1
    total = np.zeros(count, dtype=np.uint64)
    for offset, factor in enumerate(_random(size, 2)):
        total += mixed(words[offset : offset + count]) * (factor | np.uint64(1))
    return mixed(total)


def jaccard(left: Hashes, right: Hashes) -> float:
    """Similarity of two sorted arrays without repetitions: size of the intersection over size of the union."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


def signature_of(shingles: Hashes, permutations: int) -> Signature:
    """The least value of every permutation over the shingles, uint32 [permutations]."""
    values = (shingles >> np.uint64(32)).astype(np.uint32)
    factors = (_random(permutations, 3) >> np.uint64(32)).astype(np.uint32)[:, None] | np.uint32(1)
    offsets = (_random(permutations, 4) >> np.uint64(32)).astype(np.uint32)[:, None]
    least = np.full(permutations, np.iinfo(np.uint32).max, dtype=np.uint32)
    for start in range(0, len(values), BLOCK):
        np.minimum(least, (factors * values[start : start + BLOCK] + offsets).min(axis=1), out=least)
    return least


def bands_and_rows(threshold: float, permutations: int) -> tuple[int, int]:
    """The most rows per band, and so the fewest false candidates, that still find a pair at the threshold with `RECALL`."""
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return permutations, 1


def band_keys(signature: Signature, bands: int, rows: int) -> Hashes:
    """One key for each band, uint64 [bands]: documents that share a key are candidates."""
    table = signature[: bands * rows].reshape(bands, rows).astype(np.uint64)
    return mixed((mixed(table + _random(rows, 5)) * (_random(rows, 6) | np.uint64(1))).sum(axis=1) + _random(bands, 7))
