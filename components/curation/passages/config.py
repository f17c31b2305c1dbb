"""The config of passages: which repeated passages are trimmed, and how."""

from dataclasses import dataclass

from components.errors import require

PASSAGES = ("line", "substring")
"""Kinds of repeated passages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassagesConfig:
    """Which repeated passages are trimmed from documents."""

    kinds: tuple[str, ...] = ()
    """Kinds of repeated passages to trim from the documents that deduplication keeps. `line` is a whole line that occurs in more
    than `max_line_documents` documents. `substring` is a run of at least `min_substring_words` words that occurs more than once,
    even within one document. Only the first occurrence is kept. A document that is trimmed to fewer than
    `FilteringConfig.min_characters` characters is removed, unless it has the kept occurrence of a passage: then it stays, with
    those passages whole. Meant for web text; manuals describe the same parameter in many documents for good reason, and would
    lose it."""
    action: str = "remove"
    """`remove` deletes each passage; `mask` replaces it by `<REPEATED>`, so that the surrounding texts are not joined."""
    in_code: bool = False
    """Whether passages are trimmed from code too. Licence headers, imports and common calls repeat for good reason, and a file
    without them does not compile."""
    min_line_words: int = 10
    """Minimum words of a `line` passage; shorter lines, such as headings, repeat for good reason. A Han or kana character counts
    as a word, here and in `min_substring_words`; other words are separated by white space."""
    max_line_documents: int = 6
    """Maximum number of documents that may share a line. Llama 3 (arXiv 2407.21783, section 3.1.1) uses 6 within every 30 million
    documents."""
    min_substring_words: int = 50
    """Minimum words of a `substring` passage. arXiv 2107.06499, section 4.1, uses 50 BPE tokens, which is slightly shorter."""

    def __post_init__(self) -> None:
        require(set(self.kinds) <= set(PASSAGES), self, "kinds", self.kinds, ", ".join(PASSAGES))
        require(self.action in ("remove", "mask"), self, "action", self.action, "remove, mask")
        for name in ("min_line_words", "max_line_documents"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        require(self.min_substring_words > 1, self, "min_substring_words", self.min_substring_words, "an integer of at least 2")
