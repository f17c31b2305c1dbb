"""Computes which tokens each training sample reads, as a pure function of the seed and the sample's number.

No state is kept or replayed, so computing the samples of step 1 000 000 costs the same as those of step 0. The number of
workers does not matter.

The tokens of each portion of the mixture are divided into windows of one sequence. An epoch reads each window once, in a random
order that differs between epochs. The portions are interleaved so evenly that any range of samples has each portion's share to
within a few samples.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from components.errors import ConfigError
from components.hashing import mixed
from components.training.portions import Portion

Integers = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

ROUNDS = 6
"""Number of Feistel rounds; at least four are needed for a pseudo-random permutation (Luby and Rackoff, doi 10.1137/0217022)."""


@dataclass(frozen=True)
class DataOrder:
    """The order of all samples of a training run."""

    portions: tuple[Portion, ...]
    """The portions of the mixture, with their shares and numbers of windows."""
    seed: int
    """Random seed."""

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains, in the order of the portions."""
        return tuple(dict.fromkeys(portion.domain for portion in self.portions))

    def samples(self, first: int, count: int) -> tuple[Integers, Integers]:
        """For the `count` samples from `first` on: the index of the portion in `portions`, and of the window in the portion.

        Returns two int64 arrays of shape [count].
        """
        indices, ordinals = self._ordinals(np.arange(first, first + count, dtype=np.int64))
        windows = np.empty_like(ordinals)
        for index in np.unique(indices):
            mask = indices == index
            windows[mask] = self._windows(self.portions[index], ordinals[mask])
        return indices, windows

    def counts(self, samples: Integers) -> dict[str, Integers]:
        """For each n in `samples`: how many of the first n samples are in each domain and portion, as int64 arrays by name."""
        counts: dict[str, Integers] = {}
        rest = samples
        for portion, fraction in zip(self.portions, self._fractions, strict=True):
            taken = _samples_taken(rest, fraction)
            for name in dict.fromkeys((portion.domain, portion.name)):
                counts[name] = counts.get(name, 0) + taken
            rest = rest - taken
        return counts

    def _ordinals(self, numbers: Integers) -> tuple[Integers, Integers]:
        """For each sample: the index of its portion, and its position among the samples of that portion.

        The first portion takes its fraction of all samples, evenly spaced; the second takes its fraction of the remaining
        samples; and so on. Each of these is a Beatty sequence, so the number of its terms before any sample has a closed form.
        """
        indices = np.zeros_like(numbers)
        ordinals = np.zeros_like(numbers)
        undecided, rest = np.arange(len(numbers)), numbers
        for index, fraction in enumerate(self._fractions):
            before = _samples_taken(rest, fraction)
            mask = _samples_taken(rest + 1, fraction) > before
            indices[undecided[mask]], ordinals[undecided[mask]] = index, before[mask]
            undecided, rest = undecided[~mask], (rest - before)[~mask]
        return indices, ordinals

    @cached_property
    def _fractions(self) -> list[int]:
        """For each portion, its fraction of the samples that remain after the portions before it, in units of 1 / 2^32."""
        rests = [sum(p.share for p in self.portions[index:]) for index in range(len(self.portions))]
        fractions = [round(p.share / rest * 2**32) if rest > 0 else 0 for p, rest in zip(self.portions, rests, strict=True)]
        last = max(index for index, p in enumerate(self.portions) if p.share > 0)
        fractions[last] = 2**32
        return fractions

    def _windows(self, portion: Portion, ordinals: Integers) -> Integers:
        epochs, positions = np.divmod(ordinals, portion.windows)
        windows = np.empty_like(positions)
        for epoch in np.unique(epochs):
            mask = epochs == epoch
            key = hashlib.sha256(f"{self.seed}/{portion.name}/{epoch}".encode()).digest()
            windows[mask] = permutation_at(positions[mask], portion.windows, key)
        return windows


def _samples_taken(numbers: Integers, fraction: int) -> Integers:
    """Number of the first n samples assigned to a fraction (in units of 1 / 2^32): floor(n · fraction / 2^32 + 1/2), exactly."""
    return (numbers * np.int64(fraction) + np.int64(2**31)) >> np.int64(32)


def permutation_at(positions: Integers, size: int, key: bytes) -> Integers:
    """The elements at `positions` of a pseudo-random permutation of range(`size`), without storing the permutation.

    A Feistel network on the smallest even number of bits (at least 2) that can hold size - 1, applied repeatedly until the result
    is in the range (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, section 4). `key` has 32 bytes.
    """
    if size < 1 or (len(positions) and not 0 <= positions.min() <= positions.max() < size):
        raise ConfigError(f"positions in a permutation of {size} elements must be from 0 to {size - 1}")
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    words = _feistel(positions.astype(np.uint64), half, key)
    while (outside := words >= size).any():
        words[outside] = _feistel(words[outside], half, key)
    return words.astype(np.int64)


def _feistel(words: UInt64s, half: np.uint64, key: bytes) -> UInt64s:
    mask = (np.uint64(1) << half) - np.uint64(1)
    high, low = words >> half, words & mask
    for number in range(ROUNDS):
        round_key = np.uint64(int.from_bytes(key[4 * number : 4 * number + 8], "little"))
        high, low = low, high ^ (mixed(low ^ round_key) & mask)
    return (high << half) | low
