"""What each portion of the mixture contributes to a training, and how many epochs that is: arithmetic alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.artifacts import Mixture, TokenIndex, portion_name
from components.errors import TrainingError

MAX_SAMPLES = 2**31
"""Samples in one training, so that a number times a 32-bit share fits 63 bits: 8.8e12 tokens at 4 096 a sample."""


@dataclass(frozen=True)
class Portion:
    """What one domain, or one of its languages, contributes to a training."""

    domain: str
    windows: int
    """Windows in an epoch."""
    target: float
    """The share that the mixture asks for."""
    share: float
    """The share that it gets within the epoch limits."""
    epochs: float
    """How often each of its tokens is read."""
    language: str = ""
    """Empty: all of the domain's."""

    @property
    def name(self) -> str:
        """`DOMAIN`, or `DOMAIN/LANGUAGE`."""
        return portion_name(self.domain, self.language)


def windows_of(index: TokenIndex, sequence_length: int) -> dict[str, int]:
    """Whole windows of each domain and language; the last target needs one more token."""
    return {name: max(0, count - 1) // sequence_length for name, count in index.training_tokens.items()}


def apportion(mixture: Mixture, windows: Mapping[str, int], samples: int) -> tuple[Portion, ...]:
    """Shares of the portions, sorted by domain and language.

    What exceeds a portion's epoch limit goes to the other languages of its domain in proportion, so that the domain keeps its
    share; what exceeds the limits of all of them goes to the other domains.

    Args:
        mixture: target shares and epoch limits.
        windows: windows of each portion, by name; one without any contributes nothing.
        samples: samples of the whole training.

    Raises:
        TrainingError: the portions together do not hold that many samples within their epoch limits.
    """
    if samples > MAX_SAMPLES:
        raise TrainingError(f"{samples} sequences are planned; allowed: up to {MAX_SAMPLES}: take longer ones")
    held = {d: {name: windows.get(portion_name(d, name), 0) for name in mixture.languages(d)} for d in mixture.epoch_limits}
    limits = {d: {name: limit * held[d][name] / samples for name in held[d]} for d, limit in mixture.epoch_limits.items()}
    domain_limits = {domain: sum(languages.values()) for domain, languages in limits.items()}
    if sum(domain_limits.values()) < 1:
        raise TrainingError(
            f"{samples} sequences are planned, the epoch limits allow {int(sum(domain_limits.values()) * samples)}; "
            "lower the tokens of the plan, raise the epoch limits of the mixture, or bring more text"
        )
    shares = _within(mixture.shares, domain_limits, 1.0)
    return tuple(
        Portion(
            domain=domain,
            language=language,
            windows=(count := held[domain][language]),
            target=mixture.shares[domain] * mixture.languages(domain)[language],
            share=share,
            epochs=samples * share / max(1, count),
        )
        for domain in sorted(shares)
        for language, share in _within(mixture.languages(domain), limits[domain], shares[domain]).items()
    )


def _within(wanted: Mapping[str, float], limits: Mapping[str, float], total: float) -> dict[str, float]:
    """`total` divided as wanted but within the limits: what exceeds one goes to the others in proportion."""
    shares, full = {name: share * total for name, share in wanted.items()}, set[str]()
    while over := {name for name in shares.keys() - full if shares[name] > limits[name]}:
        full |= over
        remaining = total - sum(limits[name] for name in sorted(full))
        rest = sum(share for name, share in wanted.items() if name not in full)
        shares = {name: limits[name] if name in full else share / rest * remaining for name, share in wanted.items()}
    return shares


def explain(portions: tuple[Portion, ...]) -> tuple[str, ...]:
    """One sentence for each portion whose share is not what the mixture asked for."""
    return tuple(_explained(portion) for portion in portions if abs(portion.share - portion.target) > 1e-4)


def _explained(portion: Portion) -> str:
    shares = f"{portion.share:.1%} of the tokens instead of {portion.target:.1%}"
    if not portion.windows:
        return f"{portion.name} has no whole sequence to train on: {shares}"
    if portion.share < portion.target:
        return f"{portion.name} would be repeated too often: {shares} ({portion.epochs:.2f} epochs)"
    return f"{portion.name} takes over what others may not repeat: {shares}"
