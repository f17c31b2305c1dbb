"""Curation: read, normalise, filter, deduplicate and split documents, and state the mixture (recipe, section 1)."""

from components.curation.config import CurationConfig, Source

__all__ = ["CurationConfig", "Source"]
