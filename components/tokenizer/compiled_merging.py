"""Byte-pair encoding of short pieces in machine code, by a hash table of a trained tokenizer's merges.

Of all pairs in a piece that which was merged first in training is merged, the leftmost among equals, until the table has none of
them (Sennrich, Haddow, Birch, arXiv 1508.07909, section 3.2).
"""

import json
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tokenizers

from components.hashing import GOLDEN_RATIO
from components.machine_code import compiled
from components.tokenizer.pretokenization import byte_level

Pairs = npt.NDArray[np.uint64]

_CODE_POINTS = (*range(0x800), *range(0x800, 0xD800, 0x400), *range(0xE000, 0x110000, 0x400))
"""Code points whose UTF-8 has every byte that can occur in UTF-8."""

NO_PAIR = 0xFFFFFFFFFFFFFFFF


class Merges(NamedTuple):
    """What a trained tokenizer merges; a named tuple, which machine code can take."""

    alphabet: npt.NDArray[np.uint32]
    """The id of each byte, [256]; 0 for bytes that do not occur in UTF-8."""
    pairs: Pairs
    """First id in the upper half, second id in the lower: a hash table with open addressing, `NO_PAIR` where empty."""
    products: Pairs
    """Of the pair in the same slot: its rank in the upper half, the id that it becomes in the lower."""
    shift: np.uint64
    """64 less the binary logarithm of the table's length."""


def merges_of(library: tokenizers.Tokenizer) -> Merges:
    """The merges of a byte-level BPE."""
    model = json.loads(library.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    listed = np.array(
        [(vocabulary[first], vocabulary[second], vocabulary[first + second]) for first, second in model["merges"]],
        dtype=np.uint64,
    ).reshape(-1, 3)
    bits = max(4, (2 * len(listed)).bit_length())
    pairs, products = (np.full(1 << bits, NO_PAIR, dtype=np.uint64) for _ in range(2))
    merges = Merges(alphabet=_alphabet(vocabulary), pairs=pairs, products=products, shift=np.uint64(64 - bits))
    _fill(merges, listed)
    return merges


def _alphabet(vocabulary: dict[str, int]) -> npt.NDArray[np.uint32]:
    text = "".join(map(chr, _CODE_POINTS))
    ((written, _),) = byte_level().pre_tokenize_str(text)
    alphabet = np.zeros(256, dtype=np.uint32)
    for byte, character in set(zip(text.encode(), written, strict=True)):
        alphabet[byte] = vocabulary[character]
    return alphabet


@compiled
def _fill(merges, listed):  # type: ignore[no-untyped-def]
    """Fill the table from rows of first id, second id and product, in the order of their ranks."""
    mask = len(merges.pairs) - 1
    for rank in range(len(listed)):
        pair = (listed[rank, 0] << np.uint64(32)) | listed[rank, 1]
        slot = np.int64((pair * GOLDEN_RATIO) >> merges.shift)
        while merges.pairs[slot] != NO_PAIR:
            slot = (slot + 1) & mask
        merges.pairs[slot] = pair
        merges.products[slot] = (np.uint64(rank) << np.uint64(32)) | listed[rank, 2]


@compiled
def _look_up(pairs, products, shift, first, second):  # type: ignore[no-untyped-def]
    """The rank of a pair and the id that it becomes; `NO_PAIR` where it is not merged."""
    pair = (np.uint64(first) << np.uint64(32)) | np.uint64(second)
    slot, mask = np.int64((pair * GOLDEN_RATIO) >> shift), len(pairs) - 1
    while pairs[slot] != pair and pairs[slot] != NO_PAIR:
        slot = (slot + 1) & mask
    return products[slot]


@compiled
def merge(raw, start, stop, merges, ids, candidates):  # type: ignore[no-untyped-def]
    """Write the ids of the piece `raw[start:stop]`; their number. `ids` and `candidates` have a number for each of its bytes.

    The time grows with the square of the length: this is for short pieces. Takes arrays one by one: passing tuples is slow.
    """
    alphabet, pairs, products, shift = merges.alphabet, merges.pairs, merges.products, merges.shift
    count = stop - start
    for index in range(count):
        ids[index] = alphabet[raw[start + index]]
    for index in range(count - 1):
        candidates[index] = _look_up(pairs, products, shift, ids[index], ids[index + 1])
    while count > 1:
        first_merged = candidates[0]
        for index in range(1, count - 1):
            first_merged = min(first_merged, candidates[index])
        if first_merged == NO_PAIR:
            break
        best = 0
        while candidates[best] != first_merged:
            best += 1
        ids[best] = np.uint32(first_merged & np.uint64(0xFFFFFFFF))
        count -= 1
        for index in range(best + 1, count):
            ids[index] = ids[index + 1]
        for index in range(best + 1, count - 1):
            candidates[index] = candidates[index + 1]
        if best > 0:
            candidates[best - 1] = _look_up(pairs, products, shift, ids[best - 1], ids[best])
        if best < count - 1:
            candidates[best] = _look_up(pairs, products, shift, ids[best], ids[best + 1])
    return count
