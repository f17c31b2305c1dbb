"""What decides the first pass over a shard of raw files."""

from dataclasses import dataclass, replace

from components.curation.filtering.config import FilteringConfig
from components.curation.reading.config import Reading, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """All of the config that the tables of a shard depend on; the key of a cached shard covers every field, and no other."""

    reading: Reading
    filtering: FilteringConfig
    samples: int
    """Documents of each step and reason that a shard keeps as evidence."""
    shard_bytes: int
    """Bytes of text that a worker holds at a time."""

    def of(self, sources: tuple[Source, ...]) -> "Extraction":
        """The same, of other sources."""
        return replace(self, reading=replace(self.reading, sources=sources))

    def of_references(self, sources: tuple[Source, ...]) -> "Extraction":
        """The same, of references of quality: they are neither decontaminated nor shown."""
        filtering = replace(self.filtering, flagged_words={}, benchmarks=())
        return replace(self.of(sources), filtering=filtering, samples=0)
