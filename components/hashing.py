"""The integer hash function that is used for shuffling, sampling and hash tables."""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio, rounded to an odd number. Multiplying keys by it spreads them over a hash table (Knuth, The
Art of Computer Programming, section 6.4)."""


def mixed(words: Words) -> Words:
    """Hash each uint64 of an array: a bijection in which every input bit affects all 64 output bits.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195, section 6). Compiled code calls
    `components.machine_code.mix` for single values.
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
