"""Computes the share and the number of epochs of each portion of the mixture in a training run. Pure arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.artifacts import Mixture, TokenIndex, portion_name
from components.errors import TrainingError

MAX_SAMPLES = 2**31
"""Maximum samples of a training run, so that a sample number times a 32-bit fraction fits into 63 bits: 8.8e12 tokens with 4 096
tokens per sample."""


@dataclass(frozen=True)
class Portion:
    """The contribution of one domain, or of one of its languages, to a training run."""

    domain: str
    windows: int
    """Windows per epoch; a window is one training sequence."""
    target: float
    """Share of the training tokens that the mixture asks for."""
    share: float
    """Share of the training tokens within the epoch limits."""
    epochs: float
    """How many times each of its tokens is read."""
    language: str = ""
    """Language; empty if the portion is a whole domain."""

    @property
    def name(self) -> str:
        """Name of the portion: `DOMAIN` or `DOMAIN/LANGUAGE`."""
        return portion_name(self.domain, self.language)


def windows_of(index: TokenIndex, sequence_length: int) -> dict[str, int]:
    """Number of complete windows of each domain and language. A window needs one more token, for its last target."""
    return {name: max(0, count - 1) // sequence_length for name, count in index.training_tokens.items()}


def apportion(mixture: Mixture, windows: Mapping[str, int], samples: int) -> tuple[Portion, ...]:
    """Compute the share of each portion within the epoch limits; returns the portions sorted by domain and language.

    Samples above a portion's epoch limit are taken from the other languages of its domain, in proportion to their shares, so
    that the domain keeps its share. If all languages of a domain reach their limits, they are taken from the other domains.

    Args:
        mixture: target shares and epoch limits.
        windows: number of windows of each portion, by name; a portion without windows contributes nothing.
        samples: number of samples of the whole training.

    Raises:
        TrainingError: the portions do not have enough samples within their epoch limits.
    """
    if samples > MAX_SAMPLES:
        raise TrainingError(f"{samples} sequences are planned; allowed: at most {MAX_SAMPLES}; increase sequence_length")
    held = {d: {name: windows.get(portion_name(d, name), 0) for name in mixture.languages(d)} for d in mixture.epoch_limits}
    limits = {d: {name: limit * held[d][name] / samples for name in held[d]} for d, limit in mixture.epoch_limits.items()}
    domain_limits = {domain: sum(languages.values()) for domain, languages in limits.items()}
    if sum(domain_limits.values()) < 1:
        raise TrainingError(
            f"{samples} sequences are planned, but the epoch limits allow {int(sum(domain_limits.values()) * samples)}; "
            "reduce the tokens of the plan, raise the epoch limits of the mixture, or add text"
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
    """Divide `total` in the wanted proportions but within the limits: an excess is divided among the others in proportion."""
    shares, full = {name: share * total for name, share in wanted.items()}, set[str]()
    while over := {name for name in shares.keys() - full if shares[name] > limits[name]}:
        full |= over
        remaining = total - sum(limits[name] for name in sorted(full))
        rest = sum(share for name, share in wanted.items() if name not in full)
        shares = {name: limits[name] if name in full else share / rest * remaining for name, share in wanted.items()}
    return shares


def explain(portions: tuple[Portion, ...]) -> tuple[str, ...]:
    """One sentence for each portion whose share differs from the mixture's target."""
    return tuple(_explained(portion) for portion in portions if abs(portion.share - portion.target) > 1e-4)


def _explained(portion: Portion) -> str:
    shares = f"{portion.share:.1%} of the tokens instead of {portion.target:.1%}"
    if not portion.windows:
        return f"{portion.name} is shorter than one training sequence: {shares}"
    if portion.share < portion.target:
        return f"{portion.name} reaches its epoch limit ({portion.epochs:.2f} epochs): {shares}"
    return f"{portion.name} replaces tokens of portions that reach their epoch limits: {shares}"
