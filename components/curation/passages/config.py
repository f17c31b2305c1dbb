"""Which repeated passages are trimmed."""

from dataclasses import dataclass

from components.errors import require

PASSAGES = ("line", "substring")
"""Kinds of repeated passages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassagesConfig:
    """Passages that several documents share, and what is done with them."""

    kinds: tuple[str, ...] = ()
    """Repeated passages to trim from the documents that deduplication keeps: `line`, a whole line that more than
    `max_line_documents` documents share, and `substring`, a run of at least `min_substring_words` words that occurs twice, also
    within one document. Only the first occurrence is kept. A document trimmed below `FilteringConfig.min_characters` is removed,
    unless it holds such a first occurrence: then it is kept with those passages whole. Meant for web text: manuals legitimately
    describe the same parameter in many documents, and would lose it."""
    action: str = "remove"
    """`remove`, or `mask`: a mark `<REPEATED>` replaces each passage, so that the text around it does not run together."""
    in_code: bool = False
    """Whether code takes part as well: licence headers, imports and common calls repeat legitimately, and a file without them
    does not compile."""
    min_line_words: int = 10
    """Words of a line: shorter ones, such as headings and answers, repeat legitimately. A Han or kana character counts as a word,
    here and in `min_substring_words`; otherwise words are separated by white space."""
    max_line_documents: int = 6
    """Documents that may share a line, as in Llama 3 (arXiv 2407.21783, section 3.1.1), there of every 30 million."""
    min_substring_words: int = 50
    """Words of a substring; arXiv 2107.06499, section 4.1, has 50 BPE tokens, which are fewer words."""

    def __post_init__(self) -> None:
        require(set(self.kinds) <= set(PASSAGES), self, "kinds", self.kinds, ", ".join(PASSAGES))
        require(self.action in ("remove", "mask"), self, "action", self.action, "remove, mask")
        for name in ("min_line_words", "max_line_documents"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        require(self.min_substring_words > 1, self, "min_substring_words", self.min_substring_words, "an integer of at least 2")
