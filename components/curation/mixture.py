"""The mixture: what share of the training tokens each domain is to have (recipe, section 1: remix)."""

from components.artifacts import Mixture
from components.curation.config import CurationConfig


def mixture_of(config: CurationConfig) -> Mixture:
    """Shares proportional to weight^(1/temperature), weights summed over the sources of a domain; limits in epochs."""
    weights: dict[str, float] = {}
    for source in config.sources:
        weights[source.domain] = weights.get(source.domain, 0.0) + source.weight
    raised = {domain: weight ** (1 / config.mixture_temperature) for domain, weight in sorted(weights.items())}
    total = sum(raised.values())
    return Mixture(
        shares={domain: weight / total for domain, weight in raised.items()},
        epoch_limits={domain: config.epoch_limits.get(domain, config.epoch_limit) for domain in raised},
    )
