"""Curation: read, normalise, filter, deduplicate and split documents, and state the mixture (recipe, section 1)."""

from components.curation.config import Benchmark, CurationConfig, Quality, Source

__all__ = ["Benchmark", "CurationConfig", "Quality", "Source"]
