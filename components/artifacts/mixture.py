"""The mixture: the share of each domain and language in the training tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from components.artifacts.json_file import OPTIONAL, JsonFile
from components.errors import require


def portion_name(domain: str, language: str) -> str:
    """The name of a portion of the mixture and of its directory: `DOMAIN/LANGUAGE`, or `DOMAIN` if `language` is empty."""
    return f"{domain}/{language}" if language else domain


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture(JsonFile):
    """Target shares of the training tokens; the order of the training batches applies them.

    Each domain is one portion of the mixture; a domain with language shares is divided into one portion per language.
    """

    NAME: ClassVar[str] = "mixture.json"
    STEP: ClassVar[str] = "the step curation"

    shares: Mapping[str, float]
    """Share of the training tokens by domain; the shares sum to 1."""
    epoch_limits: Mapping[str, float]
    """Maximum number of epochs over each portion of a domain, by domain. Tokens above the limit are taken from the domain's other
    languages in proportion to their shares, then from other domains."""
    language_shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict, metadata=OPTIONAL)
    """By domain, the share of each language in its training tokens; the shares sum to 1. Domains not listed are one portion
    each."""

    def __post_init__(self) -> None:
        require(bool(self.shares), self, "shares", self.shares, "at least one domain")
        self._require_shares("shares", self.shares)
        require(self.epoch_limits.keys() == self.shares.keys(), self, "epoch_limits", self.epoch_limits, "one limit per domain")
        require(all(v > 0 for v in self.epoch_limits.values()), self, "epoch_limits", self.epoch_limits, "positive limits")
        unknown = sorted(self.language_shares.keys() - self.shares.keys())
        require(not unknown, self, "language_shares", unknown, f"domains of the mixture: {', '.join(self.shares)}")
        for shares in self.language_shares.values():
            self._require_shares("language_shares", shares)

    def _require_shares(self, name: str, shares: Mapping[str, float]) -> None:
        require(all(share > 0 for share in shares.values()), self, name, shares, "positive shares")
        require(abs(sum(shares.values()) - 1) < 1e-6, self, name, shares, "shares that sum to 1")

    @property
    def portions(self) -> dict[str, float]:
        """Share of the training tokens by portion name; the portions of a domain are adjacent."""
        return {
            portion_name(domain, language): share * of_domain
            for domain, share in self.shares.items()
            for language, of_domain in self.languages(domain).items()
        }

    def languages(self, domain: str) -> dict[str, float]:
        """The share of each language in a domain's training tokens, sorted by language; {"": 1.0} for an undivided domain."""
        return dict(sorted(self.language_shares.get(domain, {"": 1.0}).items()))
