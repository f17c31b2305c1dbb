"""Which window of which domain each training sample is: a pure function of the seed and the sample's number.

Nothing is read, kept or replayed to find the place: step 1 000 000 costs what step 0 costs. World size plays no part.

A domain's tokens are cut into windows; an epoch goes through all of them once, in an order of its own. The domains are
interleaved so evenly that any stretch of samples has each domain's share to within a few samples.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.artifacts import Mixture
from components.errors import ConfigError, TrainingError

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

MAX_SAMPLES = 2**31
"""Samples in one training, so that a number times a 32-bit share fits 63 bits: 8.8e12 tokens at 4 096 a sample."""

ROUNDS = 6
"""Feistel rounds; four are the least for a permutation that looks random (Luby and Rackoff, doi 10.1137/0217022)."""


@dataclass(frozen=True)
class Portion:
    """What one domain gives to a training."""

    domain: str
    windows: int
    """Windows in an epoch."""
    target: float
    """The share that the mixture asks for."""
    share: float
    """The share that it gets once no domain exceeds its epoch limit."""
    epochs: float
    """How often it is gone through."""


def apportion(mixture: Mixture, windows: Mapping[str, int], samples: int) -> tuple[Portion, ...]:
    """Shares of the domains, sorted by name; what exceeds a domain's epoch limit goes to the others in proportion.

    Args:
        mixture: target shares and epoch limits.
        windows: windows of each domain; a domain without any gives nothing.
        samples: samples of the whole training.

    Raises:
        TrainingError: the domains together do not hold that many samples within their epoch limits.
    """
    if samples > MAX_SAMPLES:
        raise TrainingError(f"{samples} sequences are planned; allowed: up to {MAX_SAMPLES}: take longer ones")
    most = {domain: limit * windows.get(domain, 0) / samples for domain, limit in mixture.epoch_limits.items()}
    if sum(most.values()) < 1:
        raise TrainingError(
            f"{samples} sequences are planned, the epoch limits allow {int(sum(most.values()) * samples)}; "
            "lower the tokens of the plan, raise the epoch limits of the mixture, or bring more text"
        )
    shares, full = dict(mixture.shares), set[str]()
    while over := {domain for domain in shares.keys() - full if shares[domain] > most[domain]}:
        full |= over
        left = 1 - sum(most[domain] for domain in sorted(full))
        rest = sum(share for domain, share in mixture.shares.items() if domain not in full)
        shares = {d: most[d] if d in full else share / rest * left for d, share in mixture.shares.items()}
    return tuple(
        Portion(d, windows.get(d, 0), mixture.shares[d], shares[d], samples * shares[d] / max(1, windows.get(d, 0)))
        for d in sorted(shares)
    )


def explain(portions: tuple[Portion, ...]) -> tuple[str, ...]:
    """One sentence for each domain whose share is not what the mixture asked for."""
    return tuple(
        f"{p.domain} would be repeated too often: {p.share:.1%} of the tokens instead of {p.target:.1%} ({p.epochs:.2f} epochs)"
        if p.share < p.target
        else f"{p.domain} takes over what others may not repeat: {p.share:.1%} of the tokens instead of {p.target:.1%}"
        for p in portions
        if abs(p.share - p.target) > 1e-4
    )


@dataclass(frozen=True)
class DataOrder:
    """The order of all samples of a training."""

    portions: tuple[Portion, ...]
    seed: int

    def samples(self, first: int, count: int) -> tuple[Integers, Integers]:
        """For samples `first` to `first + count`: the index of each one's domain in `portions`, and its window there. int64."""
        domains, ordinals = self._ordinals(np.arange(first, first + count, dtype=np.int64))
        windows = np.empty_like(ordinals)
        for index in np.unique(domains):
            here = domains == index
            windows[here] = self._windows(self.portions[index], ordinals[here])
        return domains, windows

    def counts(self, samples: Integers) -> dict[str, Integers]:
        """How many of the first `samples` samples come from each domain, for each number in `samples`. int64."""
        counts = {}
        rest = samples
        for portion, part in zip(self.portions, self._parts(), strict=True):
            counts[portion.domain] = _taken(rest, part)
            rest = rest - counts[portion.domain]
        return counts

    def _ordinals(self, numbers: Integers) -> tuple[Integers, Integers]:
        """The domain of each sample and its place among that domain's samples.

        The first domain takes samples evenly; the second takes of the others evenly; and so on. Each cut is a Beatty
        sequence, which knows how many came before.
        """
        domains = np.zeros_like(numbers)
        ordinals = np.zeros_like(numbers)
        undecided, rest = np.arange(len(numbers)), numbers
        for index, part in enumerate(self._parts()):
            before = _taken(rest, part)
            mine = _taken(rest + 1, part) > before
            domains[undecided[mine]], ordinals[undecided[mine]] = index, before[mine]
            undecided, rest = undecided[~mine], (rest - before)[~mine]
        return domains, ordinals

    def _parts(self) -> list[int]:
        """Each domain's share of what the domains before it leave, in 1 / 2^32."""
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
            key = hashlib.sha256(f"{self.seed}/{portion.domain}/{epoch}".encode()).digest()
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
        left, right = right, left ^ (_mixed(right ^ secret) & mask)
    return (left << half) | right


def _mixed(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, doi 10.1145/2660193.2660195, section 6)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
