"""Which window of which portion each training sample is: a pure function of the seed and the sample's number.

Nothing is read, kept or replayed to find the place: step 1 000 000 costs what step 0 costs. World size plays no part.

A portion's tokens are cut into windows; an epoch goes through all of them once, in an order of its own. The portions are
interleaved so evenly that any stretch of samples has each portion's share to within a few samples.
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
Words = npt.NDArray[np.uint64]

ROUNDS = 6
"""Feistel rounds; four are the least for a permutation that looks random (Luby and Rackoff, doi 10.1137/0217022)."""


@dataclass(frozen=True)
class DataOrder:
    """The order of all samples of a training."""

    portions: tuple[Portion, ...]
    seed: int

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains of the portions, in their order."""
        return tuple(dict.fromkeys(portion.domain for portion in self.portions))

    def samples(self, first: int, count: int) -> tuple[Integers, Integers]:
        """For samples `first` to `first + count`: the place of each one's portion in `portions`, and its window there. int64."""
        places, ordinals = self._ordinals(np.arange(first, first + count, dtype=np.int64))
        windows = np.empty_like(ordinals)
        for place in np.unique(places):
            here = places == place
            windows[here] = self._windows(self.portions[place], ordinals[here])
        return places, windows

    def counts(self, samples: Integers) -> dict[str, Integers]:
        """How many of the first `samples` samples come from each domain and each portion, for each number in `samples`. int64."""
        counts: dict[str, Integers] = {}
        rest = samples
        for portion, part in zip(self.portions, self._parts, strict=True):
            taken = _taken(rest, part)
            for name in dict.fromkeys((portion.domain, portion.name)):
                counts[name] = counts.get(name, 0) + taken
            rest = rest - taken
        return counts

    def _ordinals(self, numbers: Integers) -> tuple[Integers, Integers]:
        """The portion of each sample and its place among that portion's samples.

        The first portion takes samples evenly; the second takes of the others evenly; and so on. Each cut is a Beatty
        sequence, which knows how many came before.
        """
        places = np.zeros_like(numbers)
        ordinals = np.zeros_like(numbers)
        undecided, rest = np.arange(len(numbers)), numbers
        for place, part in enumerate(self._parts):
            before = _taken(rest, part)
            mine = _taken(rest + 1, part) > before
            places[undecided[mine]], ordinals[undecided[mine]] = place, before[mine]
            undecided, rest = undecided[~mine], (rest - before)[~mine]
        return places, ordinals

    @cached_property
    def _parts(self) -> list[int]:
        """Each portion's share of what the portions before it leave, in 1 / 2^32."""
        left = [sum(p.share for p in self.portions[index:]) for index in range(len(self.portions))]
        parts = [round(p.share / rest * 2**32) if rest > 0 else 0 for p, rest in zip(self.portions, left, strict=True)]
        last = max(index for index, p in enumerate(self.portions) if p.share > 0)
        parts[last] = 2**32
        return parts

    def _windows(self, portion: Portion, ordinals: Integers) -> Integers:
        epochs, places = np.divmod(ordinals, portion.windows)
        windows = np.empty_like(places)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            key = hashlib.sha256(f"{self.seed}/{portion.name}/{epoch}".encode()).digest()
            windows[here] = permuted(places[here], portion.windows, key)
        return windows


def _taken(numbers: Integers, part: int) -> Integers:
    """How many of the first `numbers` samples fall to a part of `part` / 2^32: floor(n·part + 1/2), exactly."""
    return (numbers * np.int64(part) + np.int64(2**31)) >> np.int64(32)


def permuted(places: Integers, size: int, key: bytes) -> Integers:
    """Where a pseudo-random permutation of range(`size`) puts `places`, without holding the permutation.

    A Feistel network over the next even number of bits, walked until it falls into the range
    (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, section 4). `key` has 32 bytes.
    """
    if size < 1 or (len(places) and not 0 <= places.min() <= places.max() < size):
        raise ConfigError(f"places of a permutation must lie in 0 to {size - 1}")
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    words = _feistel(places.astype(np.uint64), half, key)
    while (outside := words >= size).any():
        words[outside] = _feistel(words[outside], half, key)
    return words.astype(np.int64)


def _feistel(words: Words, half: np.uint64, key: bytes) -> Words:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = words >> half, words & mask
    for number in range(ROUNDS):
        secret = np.uint64(int.from_bytes(key[4 * number : 4 * number + 8], "little"))
        left, right = right, left ^ (mixed(right ^ secret) & mask)
    return (left << half) | right
