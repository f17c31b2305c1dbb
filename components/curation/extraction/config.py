"""The part of the config that the first pass over raw files depends on."""

from dataclasses import dataclass, replace

from components.curation.filtering.config import FilteringConfig
from components.curation.reading.config import Reading, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """Everything in the config that a shard's tables depend on; the key of a cached shard covers exactly these fields."""

    reading: Reading
    filtering: FilteringConfig
    samples: int
    """Documents per step and reason that a shard keeps as examples."""
    shard_bytes: int
    """Bytes of text that a worker holds at a time."""

    def of(self, sources: tuple[Source, ...]) -> "Extraction":
        """The same settings for other sources."""
        return replace(self, reading=replace(self.reading, sources=sources))

    def of_references(self, sources: tuple[Source, ...]) -> "Extraction":
        """The same settings for references of the quality score, without decontamination, flagged words and samples."""
        filtering = replace(self.filtering, flagged_words={}, benchmarks=())
        return replace(self.of(sources), filtering=filtering, samples=0)
