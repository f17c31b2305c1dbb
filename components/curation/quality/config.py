"""The learned quality score."""

from dataclasses import dataclass

from components.curation.reading.config import Source, require_names
from components.errors import require


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityConfig:
    """A learned quality score: how much a document reads like the references rather than like the sources."""

    references: tuple[Source, ...] = ()
    """Examples of preferred documents, such as an encyclopedia; read and filtered like sources, but not added to the corpus, and
    their weights are ignored. A language without references is not scored, and loses nothing. Empty: no score."""
    max_refused_share: float = 0.1
    """Share of each language in each domain, its lowest scores, that may be refused as `low-quality`; with 0 documents are only
    scored. DCLM (arXiv 2406.11794, section 4.4) keeps the top tenth of English web text: such a cut needs a whole crawl."""
    sample_documents: int = 10_000
    """Documents of the references, and as many of the sources, that the classifier of a language is trained on. A worker holds
    them in memory, some 200 MB."""
    min_documents: int = 200
    """Documents that a language needs, both in the references and in the sources, to get a classifier: of fewer it would learn
    their topics."""

    def __post_init__(self) -> None:
        require(0 <= self.max_refused_share < 1, self, "max_refused_share", self.max_refused_share, "at least 0, below 1")
        require(self.min_documents > 0, self, "min_documents", self.min_documents, "a positive integer")
        require_names(self, "references", self.references)
        enough = self.sample_documents >= self.min_documents
        require(enough, self, "sample_documents", self.sample_documents, "at least min_documents")
