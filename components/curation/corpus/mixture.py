"""The mixture: what share of the training tokens each domain and language is to have (recipe, section 1: remix)."""

from collections.abc import Mapping, Sequence

from components.artifacts import Mixture, portion_name
from components.curation.corpus.config import CorpusConfig
from components.curation.reading.config import Source
from components.errors import SourceError

OTHER = "other"
"""Of a domain's languages: all that have no share by name, and those that no model could tell."""

Sizes = Mapping[str, Mapping[str, int]]
"""Bytes to train on of each language in each domain."""


def mixture_of(sources: Sequence[Source], config: CorpusConfig, sizes: Sizes | None = None) -> Mixture:
    """Shares proportional to weight^(1/temperature), weights summed over the sources of a domain; limits in epochs.

    A domain's language shares are the config's, or follow its language temperature from `sizes`. Without sizes, nothing is yet
    known of what was kept: no domain is divided by temperature.
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
    """The name of the portion that a document of that domain and language belongs to."""
    if domain not in mixture.language_shares:
        return domain
    return portion_name(domain, language if language in mixture.language_shares[domain] else OTHER)


def require_languages(config: CorpusConfig, sizes: Sizes) -> None:
    """Raise `SourceError` where a domain's language shares name a language that it lacks, or leave one out that it holds."""
    for domain, shares in config.language_shares.items():
        held = sizes.get(domain, {})
        listed = ", ".join(f"{language} {size} bytes" for language, size in sorted(held.items())) or "nothing"
        unnamed = sorted(held.keys() - shares.keys())
        missing = sorted(shares.keys() - held.keys() - ({OTHER} if unnamed else set()))
        if missing:
            raise SourceError(
                f"domain {domain}: language_shares name {', '.join(missing)}, of which it has no document to train on; "
                f"it has {listed}: give it such documents, or no share"
            )
        if unnamed and OTHER not in shares:
            raise SourceError(
                f"domain {domain}: language_shares leave out {', '.join(unnamed)}; it has {listed}: "
                f"give each a share, or `{OTHER}` one for all that are not named"
            )


def _shares(weights: Mapping[str, float], temperature: float) -> dict[str, float]:
    raised = {name: weight ** (1 / temperature) for name, weight in sorted(weights.items())}
    total = sum(raised.values())
    return {name: weight / total for name, weight in raised.items()}
