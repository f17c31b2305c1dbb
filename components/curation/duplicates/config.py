"""The config of deduplication: when two documents count as near-duplicates."""

from dataclasses import dataclass

from components.errors import require

SHINGLE_WORDS = ("alphanumeric", "whitespace")


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicatesConfig:
    """How documents are compared. Changing any field hashes the texts again."""

    near_duplicate_threshold: float = 0.8
    """Jaccard similarity of two documents' word shingles from which they are near-duplicates (arXiv 2107.06499, section 4.2)."""
    shingle_size: int = 5
    """Words per shingle, as in arXiv 2107.06499, section 4.2."""
    shingle_words: str = "alphanumeric"
    """How a text is split into words. `alphanumeric`: lower-cased runs of letters and digits, with each Han or kana character a
    word of its own; suits Chinese and code. `whitespace`: runs of characters between white space, unchanged, as in that paper."""
    permutations: int = 128
    """Number of values in a MinHash signature."""

    def __post_init__(self) -> None:
        threshold = self.near_duplicate_threshold
        require(0 < threshold <= 1, self, "near_duplicate_threshold", threshold, "above 0, at most 1")
        require(self.shingle_words in SHINGLE_WORDS, self, "shingle_words", self.shingle_words, ", ".join(SHINGLE_WORDS))
        for name in ("shingle_size", "permutations"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
