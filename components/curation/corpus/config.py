"""The split and the mixture."""

import math
from dataclasses import dataclass, field

from components.errors import require


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """What is held out, and what share of the training tokens each domain and language gets."""

    validation_share: float = 0.01
    """Approximate share of each domain's bytes to hold out, in whole groups."""
    mixture_temperature: float = 1.0
    """Shares are proportional to weight^(1/temperature): above 1 raises under-represented domains (paper, section 2.1)."""
    max_epochs: float = 4.0
    """Epochs over a domain; up to 4, repeated data is nearly as good as new (arXiv 2305.16264)."""
    max_epochs_by_domain: dict[str, float] = field(default_factory=dict)
    """Limits of individual domains that differ from `max_epochs`."""
    language_shares: dict[str, dict[str, float]] = field(default_factory=dict)
    """Shares of a domain's training tokens by language, such as `{"web": {"en": 3, "zh": 1, "other": 0.5}}`, in proportion.
    `other` stands for all languages that are not named; without it, the domain must have none. The domain's epoch limit applies
    to each language. A domain that is not named is one portion of the mixture, whatever its languages."""
    language_temperature: float | None = None
    """Divides every other domain by its languages, with shares proportional to size^(1/temperature): 1/0.3 in XLM-R (arXiv
    1911.02116, section 3.1). Sizes are training bytes, as a corpus has no tokens yet. None: languages are not balanced."""

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
