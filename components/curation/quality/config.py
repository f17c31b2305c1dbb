"""The config of the learned quality score."""

from dataclasses import dataclass

from components.curation.reading.config import Source, require_names
from components.errors import require


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityConfig:
    """A learned score of how much a document resembles the references rather than the other documents of the sources."""

    references: tuple[Source, ...] = ()
    """Examples of preferred documents, such as an encyclopedia. They are read and filtered like sources but not added to the
    corpus; their weights are ignored. Documents in a language without references are neither scored nor refused. Empty: no
    documents are scored."""
    max_refused_share: float = 0.1
    """Maximum share of the documents of each language and domain, those with the lowest scores, that is refused as `low-quality`.
    With 0, documents are only scored. DCLM (arXiv 2406.11794, section 4.4) keeps the top 10 % of English web text, which requires
    a whole crawl."""
    sample_documents: int = 10_000
    """Maximum number of references, and of other documents, that the classifier of a language is trained on. A worker holds them
    in memory: about 200 MB at the default."""
    min_documents: int = 200
    """Minimum number of documents of a language, both in the references and in the sources, to train a classifier for it. With
    fewer, it would learn their topics instead of their quality."""

    def __post_init__(self) -> None:
        require(0 <= self.max_refused_share < 1, self, "max_refused_share", self.max_refused_share, "at least 0, below 1")
        require(self.min_documents > 0, self, "min_documents", self.min_documents, "a positive integer")
        require_names(self, "references", self.references)
        enough = self.sample_documents >= self.min_documents
        require(enough, self, "sample_documents", self.sample_documents, "at least min_documents")
