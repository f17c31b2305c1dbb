"""Curation: reads, normalises, filters, deduplicates and splits documents, and decides the mixture (recipe, section 1)."""

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
