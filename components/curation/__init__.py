"""Curation: read, normalise, filter, deduplicate and split documents, and state the mixture (recipe, section 1)."""

from components.curation.config import (
    Benchmark,
    CorpusConfig,
    CurationConfig,
    DuplicatesConfig,
    FilteringConfig,
    PassagesConfig,
    QualityConfig,
    ReadingConfig,
    Source,
)

__all__ = [
    "Benchmark",
    "CorpusConfig",
    "CurationConfig",
    "DuplicatesConfig",
    "FilteringConfig",
    "PassagesConfig",
    "QualityConfig",
    "ReadingConfig",
    "Source",
]
