"""The mixing function that orders, samples and tables of hashes share."""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, odd: multiplying by it spreads keys over a table (Knuth, The Art of Computer Programming, 6.4)."""


def mixed(words: Words) -> Words:
    """A bijection of uint64 that spreads every input bit over all 64.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195, section 6). For arrays: machine code has
    `components.machine_code.mix`, which is compiled from this and mixes one value.
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
