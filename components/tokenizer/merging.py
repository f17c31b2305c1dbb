"""Byte-pair encoding of short pieces in machine code: the merges of a trained tokenizer as a table of pairs.

Of all pairs in a piece the one that was merged first in training is merged, the leftmost of equals, until none is in the table
(Sennrich, Haddow, Birch, arXiv 1508.07909, section 3.2).
"""

import json
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tokenizers

from components.hashing import GOLDEN_RATIO
from components.machine_code import compiled
from components.tokenizer.pretokenization import byte_level

Pair = npt.NDArray[np.uint64]

_EVERY_LEAD = (*range(0x800), *range(0x800, 0xD800, 0x400), *range(0xE000, 0x110000, 0x400))
"""Code points whose UTF-8 holds every byte that UTF-8 can hold."""

NO_PAIR = 0xFFFFFFFFFFFFFFFF


class Merges(NamedTuple):
    """What a trained tokenizer merges; a named tuple, as machine code takes those."""

    alphabet: npt.NDArray[np.uint32]
    """The id of each byte, [256]; bytes that UTF-8 never holds have none."""
    pairs: Pair
    """Left id in the upper half, right id in the lower: a hash table of open addressing, `NO_PAIR` where empty."""
    products: Pair
    """Of the pair at the same place: its rank in the upper half, the id of what it becomes in the lower."""
    shift: np.uint64
    """64 less the binary logarithm of the table's length."""


def merges_of(library: tokenizers.Tokenizer) -> Merges:
    """The merges of a byte-level BPE."""
    model = json.loads(library.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    listed = np.array(
        [(vocabulary[left], vocabulary[right], vocabulary[left + right]) for left, right in model["merges"]], dtype=np.uint64
    ).reshape(-1, 3)
    bits = max(4, (2 * len(listed)).bit_length())
    pairs, products = (np.full(1 << bits, NO_PAIR, dtype=np.uint64) for _ in range(2))
    merges = Merges(alphabet=_alphabet(vocabulary), pairs=pairs, products=products, shift=np.uint64(64 - bits))
    enter(merges, listed)
    return merges


def _alphabet(vocabulary: dict[str, int]) -> npt.NDArray[np.uint32]:
    text = "".join(map(chr, _EVERY_LEAD))
    ((written, _),) = byte_level().pre_tokenize_str(text)
    alphabet = np.zeros(256, dtype=np.uint32)
    for byte, character in set(zip(text.encode(), written, strict=True)):
        alphabet[byte] = vocabulary[character]
    return alphabet


@compiled
def enter(merges, listed):  # type: ignore[no-untyped-def]
    """Fill the table of pairs from rows of left, right and product, in the order of their ranks."""
    mask = len(merges.pairs) - 1
    for rank in range(len(listed)):
        pair = (listed[rank, 0] << np.uint64(32)) | listed[rank, 1]
        place = np.int64((pair * GOLDEN_RATIO) >> merges.shift)
        while merges.pairs[place] != NO_PAIR:
            place = (place + 1) & mask
        merges.pairs[place] = pair
        merges.products[place] = (np.uint64(rank) << np.uint64(32)) | listed[rank, 2]


@compiled
def _look_up(pairs, results, shift, left, right):  # type: ignore[no-untyped-def]
    """What a pair becomes, with its rank; `NO_PAIR` where it is not merged."""
    pair = (np.uint64(left) << np.uint64(32)) | np.uint64(right)
    place, mask = np.int64((pair * GOLDEN_RATIO) >> shift), len(pairs) - 1
    while pairs[place] != pair and pairs[place] != NO_PAIR:
        place = (place + 1) & mask
    return results[place]


@compiled
def merge(raw, start, stop, merges, ids, products):  # type: ignore[no-untyped-def]
    """Write the ids of the piece `raw[start:stop]`; their number. `ids` and `products` have room for one for each byte.

    It takes time in the square of the length: it is for short pieces. Arrays are passed on one by one: passing tuples is slow.
    """
    alphabet, pairs, results, shift = merges.alphabet, merges.pairs, merges.products, merges.shift
    count = stop - start
    for place in range(count):
        ids[place] = alphabet[raw[start + place]]
    for place in range(count - 1):
        products[place] = _look_up(pairs, results, shift, ids[place], ids[place + 1])
    while count > 1:
        least = products[0]
        for place in range(1, count - 1):
            least = min(least, products[place])
        if least == NO_PAIR:
            break
        best = 0
        while products[best] != least:
            best += 1
        ids[best] = np.uint32(least & np.uint64(0xFFFFFFFF))
        count -= 1
        for place in range(best + 1, count):
            ids[place] = ids[place + 1]
        for place in range(best + 1, count - 1):
            products[place] = products[place + 1]
        if best > 0:
            products[best - 1] = _look_up(pairs, results, shift, ids[best - 1], ids[best])
        if best < count - 1:
            products[best] = _look_up(pairs, results, shift, ids[best], ids[best + 1])
    return count
