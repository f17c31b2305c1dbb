"""The mixing function: published outputs, no collisions, and every input bit reaches every output bit."""

import numpy as np
import pytest

from components.hashing import GOLDEN_RATIO, mixed


def splitmix64(seed: int, count: int) -> list[int]:
    """The generator of Steele, Lea and Flood in Python's integers: its state is a multiple of the golden ratio."""
    values, state, modulus = [], seed, 2**64
    for _ in range(count):
        state = (state + int(GOLDEN_RATIO)) % modulus
        word = state
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % modulus
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB % modulus
        values.append(word ^ (word >> 31))
    return values


def test_it_gives_the_outputs_of_splitmix64() -> None:
    states = np.arange(1, 5, dtype=np.uint64) * GOLDEN_RATIO
    assert mixed(states).tolist() == splitmix64(0, 4)
    # the first output for seed 0 of the reference implementation, https://prng.di.unimi.it/splitmix64.c
    assert int(mixed(states)[0]) == 0xE220A8397B1DCDAF


def test_no_two_words_are_mixed_into_one() -> None:
    words = np.arange(2**16, dtype=np.uint64)
    assert len(np.unique(mixed(words))) == len(words)
    assert mixed(np.zeros(1, dtype=np.uint64)).tolist() == [0]


@pytest.mark.parametrize("bit", [0, 1, 31, 63])
def test_one_flipped_bit_flips_about_half_of_all_bits(bit: int) -> None:
    words = np.random.default_rng(0).integers(0, 2**64, size=4096, dtype=np.uint64)
    flipped = mixed(words) ^ mixed(words ^ np.uint64(1 << bit))
    shares = np.unpackbits(flipped.view(np.uint8)).reshape(len(words), 64).mean(axis=0)
    assert shares.min() > 0.45
    assert shares.max() < 0.55
