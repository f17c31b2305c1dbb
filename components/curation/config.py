"""The config of curation: its sources, and one section for each package, whose class is in that package's `config.py`."""

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
    """The config of curation: deduplicate, filter and remix (paper, section 2.1).

    The paper gives no thresholds; the defaults are from the works that it cites.
    """

    sources: tuple[Source, ...]
    """Sources of documents. A domain may have several sources; a source has one domain."""
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    """Limits for reading files, and the model that detects languages."""
    filtering: FilteringConfig = field(default_factory=FilteringConfig)
    """Rules that refuse or change a single document, and benchmarks whose items no document may contain."""
    quality: QualityConfig = field(default_factory=QualityConfig)
    """A quality score learned from reference documents; of two duplicates, the one with the higher score is kept."""
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    """When two documents count as near-duplicates."""
    passages: PassagesConfig = field(default_factory=PassagesConfig)
    """Which repeated passages are trimmed; none by default."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    """The train/validation split and the mixture."""
    samples: int = 4
    """Documents per step and reason kept as examples for `longrun inspect`, with personal data replaced; 0 keeps none."""
    audited_removals: int = 400
    """Removals per reason that are sampled and measured again from their texts. If all of them are correct, the lower end of the
    95 % interval of the precision is 0.9908 for 400 out of many, and 0.98 for 183. Of a smaller sample, the check of the corpus
    requires that all are correct."""
    shard_bytes: int = 128 * 1024 * 1024
    """Bytes of text that a worker holds at a time; also the approximate size of the corpus's files."""
    keep_shards: bool = field(default=True, metadata=DECIDES_NOTHING)
    """Whether to cache the results of reading and hashing each shard in the home, so that adding a source reads and hashes only
    that source. The cache is about as large as the corpus; `longrun gc` deletes it."""
    seed: int = 0
    """Seed for drawing samples and the split."""

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
        """Require that the mixture names only domains of the sources, and only languages that the language model detects."""
        domains = {source.domain for source in self.sources}
        for name in ("max_epochs_by_domain", "language_shares"):
            for domain in getattr(self.corpus, name):
                require(domain in domains, self, f"corpus.{name}", domain, ", ".join(sorted(domains)))
        shares_of = self.corpus.language_shares
        known = self.reading.language_model != "script" or all(shares.keys() <= set(SCRIPT_TAGS) for shares in shares_of.values())
        allowed = f"the tags {', '.join(SCRIPT_TAGS)}, which the language model `script` detects"
        require(known, self, "corpus.language_shares", shares_of, allowed)

    @property
    def extraction(self) -> Extraction:
        """The part of the config that the first pass over the raw files depends on."""
        reading = Reading(sources=self.sources, limits=self.reading, seed=self.seed)
        return Extraction(reading=reading, filtering=self.filtering, samples=self.samples, shard_bytes=self.shard_bytes)

    @property
    def inputs(self) -> Inputs:
        """Everything that names files to read: sources, references, benchmarks and word lists."""
        return Inputs(
            reading=self.extraction.reading,
            references=self.quality.references,
            benchmarks=self.filtering.benchmarks,
            flagged_words=self.filtering.flagged_words,
        )
