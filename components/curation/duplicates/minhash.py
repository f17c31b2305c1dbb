"""MinHash signatures of texts, and the keys of their LSH bands.

The Jaccard similarity of two documents is that of their sets of shingles; `bands` beside this module says
which pairs meet.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.curation.duplicates.bands import Bands
from components.curation.text.shingles import Fold, hash_shingles, random
from components.machine_code import Bytes, Hashes, Numbers, compiled, mix

Signature = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketching:
    """What turns a text into band keys; the same arrays for every text of a corpus."""

    fold: Fold
    factors: Hashes
    """Of the words of a shingle, uint64 [size]."""
    permutations: int
    shape: Bands

    def keys(self, raw: Bytes, offsets: Numbers) -> Hashes:
        """The band keys of texts, uint64 [texts, bands]: texts that share a key are candidates. `offsets` int64 [texts + 1]."""
        shape = self.shape
        keys = np.empty((len(offsets) - 1, shape.bands), dtype=np.uint64)
        factors, addends = (_short(random(self.permutations, stream)) for stream in (3, 4))
        weights = random(shape.rows, 6), random(shape.bands, 7)
        sketch_texts(raw, offsets, self.fold, self.factors, factors | np.uint32(1), addends, *weights, keys)
        return keys


def _short(values: Hashes) -> Signature:
    return (values >> np.uint64(32)).astype(np.uint32)


def signature_of(shingles: Hashes, permutations: int) -> Signature:
    """The least value of every permutation over the shingles, uint32 [permutations]."""
    factors, addends = (_short(random(permutations, stream)) for stream in (3, 4))
    signature = np.empty(permutations, dtype=np.uint32)
    sign(shingles, len(shingles), factors | np.uint32(1), addends, signature)
    return signature


@compiled
def sign(shingles, count, factors, addends, signature):  # type: ignore[no-untyped-def]
    """The least of `factor * value + addend` modulo 2^32 over the upper halves of the shingles, for each permutation.

    Four shingles at a time: signature, factors and addends are loaded once for all of them.
    """
    signature[:] = np.uint32(0xFFFFFFFF)
    for start in range(0, count - 3, 4):
        one, two = np.uint32(shingles[start] >> np.uint64(32)), np.uint32(shingles[start + 1] >> np.uint64(32))
        three, four = np.uint32(shingles[start + 2] >> np.uint64(32)), np.uint32(shingles[start + 3] >> np.uint64(32))
        for place in range(len(signature)):
            factor, addend = factors[place], addends[place]
            first = min(np.uint32(factor * one + addend), np.uint32(factor * two + addend))
            second = min(np.uint32(factor * three + addend), np.uint32(factor * four + addend))
            signature[place] = min(signature[place], min(first, second))
    for start in range(count - count % 4, count):
        one = np.uint32(shingles[start] >> np.uint64(32))
        for place in range(len(signature)):
            signature[place] = min(signature[place], np.uint32(factors[place] * one + addends[place]))


@compiled
def cut(signature, row_weights, band_weights, keys):  # type: ignore[no-untyped-def]
    """One key for each band: a multilinear hash of its rows and of its number, mixed."""
    rows = len(row_weights)
    for band in range(len(keys)):
        total = band_weights[band]
        for row in range(rows):
            total += np.uint64(signature[band * rows + row]) * row_weights[row]
        keys[band] = mix(total)


@compiled
def sketch_texts(raw, offsets, fold, word_factors, factors, addends, row_weights, band_weights, keys):  # type: ignore[no-untyped-def]
    """Fill `keys` with the band keys of every text."""
    longest = 0
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    words = np.empty(longest + len(word_factors) + 2, dtype=np.uint64)
    shingles = np.empty(longest + len(word_factors) + 2, dtype=np.uint64)
    signature = np.empty(len(factors), dtype=np.uint32)
    for text in range(len(offsets) - 1):
        count = hash_shingles(raw, offsets[text], offsets[text + 1], fold, word_factors, words, shingles)
        sign(shingles, count, factors, addends, signature)
        cut(signature, row_weights, band_weights, keys[text])
