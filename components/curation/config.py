"""The config of the stage: what curation reads, and a section for each of its packages, which has its class beside it."""

from dataclasses import dataclass, field

from components.curation.corpus.config import CorpusConfig
from components.curation.duplicates.config import DuplicatesConfig
from components.curation.extraction.config import Extraction
from components.curation.filtering.config import PERSONAL_DATA, RULE_SETS, FilteringConfig
from components.curation.passages.config import PASSAGES, PassagesConfig
from components.curation.quality.config import QualityConfig
from components.curation.reading.config import (
    PYTHON_DOMAINS,
    PYTHON_ENVIRONMENT,
    SCRIPT_TAGS,
    SHIPPED,
    Benchmark,
    Inputs,
    Reading,
    ReadingConfig,
    Source,
    require_names,
)
from components.decides import DECIDES_NOTHING
from components.errors import require

__all__ = [
    "PASSAGES",
    "PERSONAL_DATA",
    "PYTHON_DOMAINS",
    "PYTHON_ENVIRONMENT",
    "RULE_SETS",
    "SHIPPED",
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


@dataclass(frozen=True, kw_only=True, slots=True)
class CurationConfig:
    """Section 2.1 of the paper: deduplicate, filter, remix. The paper gives no thresholds: these are from the works it cites."""

    sources: tuple[Source, ...]
    """Where documents come from; a domain may have several sources, a source only one domain."""
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    """Limits of reading, and the model that tags languages."""
    filtering: FilteringConfig = field(default_factory=FilteringConfig)
    """What refuses or changes a single document, and the benchmarks that none may contain."""
    quality: QualityConfig = field(default_factory=QualityConfig)
    """A quality score learned from references; of two duplicates the one with the higher score is kept."""
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    """What near duplicates are."""
    passages: PassagesConfig = field(default_factory=PassagesConfig)
    """Repeated passages to trim; none unless asked for."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    """The split and the mixture."""
    samples: int = 4
    """Documents of each step and reason that are kept as evidence for `longrun inspect`, with personal data replaced; 0: none."""
    audited_removals: int = 400
    """Removals of each reason that are measured again from their texts, chosen by the seed. Of many removals, 400 correct ones
    put the lower end of the 95 % interval at 0.9908, 183 at 0.98; of fewer, the check requires that all are correct."""
    shard_bytes: int = 128 * 1024 * 1024
    """Text bytes that a worker holds at a time, and the approximate size of the corpus's files."""
    keep_shards: bool = field(default=True, metadata=DECIDES_NOTHING)
    """Keep the results of shards before deduplication in the home, with their hashes, so that a corpus with one more source reads
    and hashes only that one; about as large as the corpus, until `longrun gc`."""
    seed: int = 0
    """Chooses samples and the split."""

    def __post_init__(self) -> None:
        require(bool(self.sources), self, "sources", self.sources, "at least one source")
        uris = [f"{s.uri}{s.domain}" if s.uri == PYTHON_ENVIRONMENT else s.uri for s in self.sources]
        require(len(set(uris)) == len(uris), self, "sources", uris, "each URI once, python-environment: once a domain")
        require_names(self, "sources", self.sources)
        for name in ("audited_removals", "shard_bytes"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        require(self.samples >= 0, self, "samples", self.samples, "0 or more")
        self._require_domains()

    def _require_domains(self) -> None:
        """What the mixture says of domains and languages must be of those that the sources have."""
        domains = {source.domain for source in self.sources}
        for name in ("max_epochs_by_domain", "language_shares"):
            given = getattr(self.corpus, name)
            unknown = ", ".join(sorted(given.keys() - domains))
            require(not unknown, self, f"corpus.{name}", given, f"domains of the sources, not {unknown}")
        shares_of = self.corpus.language_shares
        known = self.reading.language_model != "script" or all(shares.keys() <= set(SCRIPT_TAGS) for shares in shares_of.values())
        allowed = f"the tags {', '.join(SCRIPT_TAGS)}, which the model `script` tells apart"
        require(known, self, "corpus.language_shares", shares_of, allowed)

    @property
    def extraction(self) -> Extraction:
        """What the first pass over the raw files depends on."""
        reading = Reading(sources=self.sources, limits=self.reading, seed=self.seed)
        return Extraction(reading=reading, filtering=self.filtering, samples=self.samples, shard_bytes=self.shard_bytes)

    @property
    def inputs(self) -> Inputs:
        """All files that are read."""
        return Inputs(
            reading=self.extraction.reading,
            references=self.quality.references,
            benchmarks=self.filtering.benchmarks,
            flagged_words=self.filtering.flagged_words,
        )
