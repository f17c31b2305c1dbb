"""`longrun curation-plan RECIPE`: the sources and the mixture of a recipe, and which near duplicates it will detect."""

from collections.abc import Mapping
from typing import Any

from components.curation.config import CurationConfig
from components.curation.corpus.mixture import mixture_of
from components.curation.duplicates.bands import SHOWN, Bands
from components.files import JSON

_WIDTH = 40
"""Characters of the longest bar of the recall curve."""


def curation_plan(config: CurationConfig) -> dict[str, JSON]:
    """The plan as JSON values. Shares and similarities are fractions from 0 to 1."""
    duplicates, threshold = config.duplicates, config.duplicates.near_duplicate_threshold
    bands = Bands.of(threshold, duplicates.permutations)
    return {
        "sources": [
            {"name": source.name, "uri": source.uri, "domain": source.domain, "sample_bytes": source.sample_bytes}
            for source in config.sources
        ],
        "mixture": mixture_of(config.sources, config.corpus).portions,
        "deduplication": {
            "threshold": threshold,
            "shingle_size": duplicates.shingle_size,
            "shingle_words": duplicates.shingle_words,
            "permutations": duplicates.permutations,
            "bands": bands.bands,
            "rows": bands.rows,
            "recall_at_threshold": bands.recall(threshold),
            "even": bands.midpoint(),
            "recall_by_similarity": bands.curve(sorted({*SHOWN, threshold})),
        },
    }


def curation_plan_lines(name: str, plan: Mapping[str, Any]) -> list[str]:
    """The plan as text."""
    return [f"curation of {name}", *_source_lines(plan), *_deduplication_lines(plan["deduplication"])]


def _source_lines(plan: Mapping[str, Any]) -> list[str]:
    sizes = [
        (s, f"a sample of {s['sample_bytes'] / 1e6:,.1f} MB" if s["sample_bytes"] else "all documents") for s in plan["sources"]
    ]
    shares = ", ".join(f"{domain} {share:.1%}" for domain, share in plan["mixture"].items())
    return [*(f"  {s['domain']:<12}{s['uri']}, {size}" for s, size in sizes), f"  mixture, by tokens: {shares}"]


def _deduplication_lines(plan: Mapping[str, Any]) -> list[str]:
    threshold, recall = plan["threshold"], plan["recall_at_threshold"]
    return [
        "near duplicates, across all sources",
        f"  MinHash over shingles of {plan['shingle_size']} words ({plan['shingle_words']}), "
        f"{plan['permutations']} permutations in {plan['bands']} bands of {plan['rows']} rows",
        f"  a document is removed only if its exact Jaccard similarity to a kept document is at least {threshold:g}",
        "  similarity  probability that the pair is compared",
        *(_curve_line(float(similarity), share, threshold) for similarity, share in plan["recall_by_similarity"].items()),
        f"  {recall:.2%} of the pairs at the threshold are compared, and half of the pairs at similarity {plan['even']:.2f}",
        "  above the threshold this is the recall; below it, both documents are kept and the comparison only costs time",
    ]


def _curve_line(similarity: float, share: float, threshold: float) -> str:
    mark = "threshold" if f"{similarity:.2f}" == f"{threshold:.2f}" else ""
    return f"  {similarity:<12.2f}{share:>8.2%}  {'█' * round(share * _WIDTH):<{_WIDTH}}  {mark}".rstrip()
