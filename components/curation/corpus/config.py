"""The config of the train/validation split and the mixture."""

import math
from dataclasses import dataclass, field

from components.errors import require


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """How much is held out for validation, and the share of the training tokens of each domain and language."""

    validation_share: float = 0.01
    """Approximate share of each domain's bytes to hold out; groups are held out whole."""
    mixture_temperature: float = 1.0
    """Temperature of the mixture: a domain's share is proportional to weight^(1/temperature). A value above 1 raises the shares
    of under-represented domains (paper, section 2.1)."""
    max_epochs: float = 4.0
    """Maximum epochs over a domain; up to 4 epochs, repeated data is nearly as good as new data (arXiv 2305.16264)."""
    max_epochs_by_domain: dict[str, float] = field(default_factory=dict)
    """Maximum epochs of individual domains, if they differ from `max_epochs`."""
    language_shares: dict[str, dict[str, float]] = field(default_factory=dict)
    """Proportions of a domain's training tokens by language, such as `{"web": {"en": 3, "zh": 1, "other": 0.5}}`. `other` stands
    for all languages that are not listed; without it, the domain must have no others. The domain's epoch limit applies to each
    language. A domain that is not listed is one portion of the mixture, whatever its languages."""
    language_temperature: float | None = None
    """Balances the languages of every domain that is not in `language_shares`: a language's share is proportional to
    size^(1/temperature), with 1/0.3 in XLM-R (arXiv 1911.02116, section 3.1). Sizes are training bytes, since the corpus is not
    tokenized yet. None does not balance languages."""

    def __post_init__(self) -> None:
        require(0 < self.validation_share < 1, self, "validation_share", self.validation_share, "between 0 and 1")
        temperature = self.mixture_temperature
        require(0 < temperature < math.inf, self, "mixture_temperature", temperature, "a positive number")
        require(self.max_epochs > 0, self, "max_epochs", self.max_epochs, "a positive number")
        limits = self.max_epochs_by_domain
        require(all(limit > 0 for limit in limits.values()), self, "max_epochs_by_domain", limits, "positive numbers")
        given, temperature_of_languages = self.language_shares, self.language_temperature
        positive = all(shares and all(0 < share < math.inf for share in shares.values()) for shares in given.values())
        require(positive, self, "language_shares", given, "a positive number for each of one or more languages")
        allowed = temperature_of_languages is None or 0 < temperature_of_languages < math.inf
        require(allowed, self, "language_temperature", temperature_of_languages, "a positive number or None")
