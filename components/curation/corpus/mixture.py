"""Decides the mixture: the share of the training tokens of each domain and language (recipe, section 1: remix)."""

from collections.abc import Mapping, Sequence

from components.artifacts import Mixture, portion_name
from components.curation.corpus.config import CorpusConfig
from components.curation.reading.config import Source
from components.errors import SourceError

OTHER = "other"
"""Stands for all languages of a domain without a share of their own, including documents whose language is unknown."""

Sizes = Mapping[str, Mapping[str, int]]
"""Training bytes by domain and language."""


def mixture_of(sources: Sequence[Source], config: CorpusConfig, sizes: Sizes | None = None) -> Mixture:
    """The mixture: shares of the domains, shares of languages in some domains, and epoch limits.

    A domain's share is proportional to weight^(1/temperature), where weight is the sum over its sources. Its language shares are
    those of the config, or follow from `sizes` and the language temperature. Without `sizes`, before anything was read, no domain
    is divided by temperature.
    """
    weights: dict[str, float] = {}
    for source in sources:
        weights[source.domain] = weights.get(source.domain, 0.0) + source.weight
    shares = _shares(weights, config.mixture_temperature)
    languages = {domain: _shares(given, 1.0) for domain, given in config.language_shares.items()}
    if config.language_temperature is not None:
        others = {domain: held for domain, held in (sizes or {}).items() if domain not in languages and len(held) > 1}
        languages |= {domain: _shares(held, config.language_temperature) for domain, held in others.items()}
    return Mixture(
        shares=shares,
        epoch_limits={domain: config.max_epochs_by_domain.get(domain, config.max_epochs) for domain in shares},
        language_shares=languages,
    )


def portion_of(mixture: Mixture, domain: str, language: str) -> str:
    """The name of the portion that a document with this domain and language belongs to."""
    if domain not in mixture.language_shares:
        return domain
    return portion_name(domain, language if language in mixture.language_shares[domain] else OTHER)


def require_languages(config: CorpusConfig, sizes: Sizes) -> None:
    """Raise `SourceError` if `language_shares` lists a language without training documents, or omits one that has some."""
    for domain, shares in config.language_shares.items():
        held = sizes.get(domain, {})
        listed = ", ".join(f"{language} {size} bytes" for language, size in sorted(held.items())) or "nothing"
        unnamed = sorted(held.keys() - shares.keys())
        missing = sorted(shares.keys() - held.keys() - ({OTHER} if unnamed else set()))
        if missing:
            raise SourceError(
                f"domain {domain}: curation.corpus.language_shares lists {', '.join(missing)}, but no training document has that "
                f"language; the domain has {listed}: add such documents, or remove the share"
            )
        if unnamed and OTHER not in shares:
            raise SourceError(
                f"domain {domain}: curation.corpus.language_shares omits {', '.join(unnamed)}; the domain has {listed}: "
                f"add a share for each, or `{OTHER}` for all languages that are not listed"
            )


def _shares(weights: Mapping[str, float], temperature: float) -> dict[str, float]:
    raised = {name: weight ** (1 / temperature) for name, weight in sorted(weights.items())}
    total = sum(raised.values())
    return {name: weight / total for name, weight in raised.items()}
