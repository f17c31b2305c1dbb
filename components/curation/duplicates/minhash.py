"""Computes MinHash signatures of texts and the keys of their LSH bands.

Signatures estimate the Jaccard similarity of two documents' shingle sets; module `bands` says which pairs the bands find.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.curation.duplicates.bands import Bands
from components.curation.text.shingles import Fold, hash_shingles, random
from components.machine_code import Bytes, Hashes, Numbers, compiled, mix

Signature = npt.NDArray[np.uint32]


class Permutations(NamedTuple):
    """The permutations of a signature, each `factor * value + addend` modulo 2^32. A named tuple, since numba accepts those."""

    factors: Signature
    """Odd, uint32 [permutations]."""
    addends: Signature
    """uint32 [permutations]"""

    @classmethod
    def of(cls, count: int) -> "Permutations":
        """`count` permutations, the same in every process."""
        factors, addends = ((random(count, stream) >> np.uint64(32)).astype(np.uint32) for stream in (3, 4))
        return cls(factors=factors | np.uint32(1), addends=addends)


class BandWeights(NamedTuple):
    """The weights of the multilinear hash that makes a band's key."""

    rows: Hashes
    """uint64 [rows of a band]"""
    bands: Hashes
    """uint64 [bands]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketching:
    """Parameters for computing band keys, shared by all texts of a corpus."""

    fold: Fold
    """How characters are folded to words, by `shingles.fold_of`."""
    factors: Hashes
    """Factors of the words of a shingle, uint64 [shingle size]."""
    permutations: int
    """Number of values in a signature."""
    shape: Bands
    """How a signature is divided into bands."""

    def keys(self, raw: Bytes, offsets: Numbers) -> Hashes:
        """The band keys of texts, uint64 [texts, bands]; texts that share a key are candidates.

        `raw` are the UTF-8 bytes of all texts, `offsets` int64 [texts + 1] where each starts.
        """
        shape = self.shape
        keys = np.empty((len(offsets) - 1, shape.bands), dtype=np.uint64)
        weights = BandWeights(rows=random(shape.rows, 6), bands=random(shape.bands, 7))
        sketch_texts(raw, offsets, self.fold, self.factors, Permutations.of(self.permutations), weights, keys)
        return keys


@compiled
def sign(shingles, count, permutations, signature):  # type: ignore[no-untyped-def]
    """Fill `signature` with the minimum of every permutation over the upper halves of the shingles' hashes.

    Four shingles are processed at a time, so that signature, factors and addends are loaded once for all four.
    """
    factors, addends = permutations
    signature[:] = np.uint32(0xFFFFFFFF)
    for start in range(0, count - 3, 4):
        a, b = np.uint32(shingles[start] >> np.uint64(32)), np.uint32(shingles[start + 1] >> np.uint64(32))
        c, d = np.uint32(shingles[start + 2] >> np.uint64(32)), np.uint32(shingles[start + 3] >> np.uint64(32))
        for row in range(len(signature)):
            factor, addend = factors[row], addends[row]
            first = min(np.uint32(factor * a + addend), np.uint32(factor * b + addend))
            second = min(np.uint32(factor * c + addend), np.uint32(factor * d + addend))
            signature[row] = min(signature[row], min(first, second))
    for start in range(count - count % 4, count):
        value = np.uint32(shingles[start] >> np.uint64(32))
        for row in range(len(signature)):
            signature[row] = min(signature[row], np.uint32(factors[row] * value + addends[row]))


@compiled
def band_keys(signature, weights, keys):  # type: ignore[no-untyped-def]
    """Fill `keys` with one key for each band: a multilinear hash of its rows and its number, mixed."""
    rows = len(weights.rows)
    for band in range(len(keys)):
        total = weights.bands[band]
        for row in range(rows):
            total += np.uint64(signature[band * rows + row]) * weights.rows[row]
        keys[band] = mix(total)


@compiled
def sketch_texts(raw, offsets, fold, factors, permutations, weights, keys):  # type: ignore[no-untyped-def]
    """Fill `keys` with the band keys of every text; `factors` are the factors of the words of a shingle."""
    longest = 0
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    words = np.empty(longest + len(factors) + 2, dtype=np.uint64)
    shingles = np.empty(longest + len(factors) + 2, dtype=np.uint64)
    signature = np.empty(len(permutations.factors), dtype=np.uint32)
    for text in range(len(offsets) - 1):
        count = hash_shingles(raw, offsets[text], offsets[text + 1], fold, factors, words, shingles)
        sign(shingles, count, permutations, signature)
        band_keys(signature, weights, keys[text])
