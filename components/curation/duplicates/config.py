"""What near duplicates are."""

from dataclasses import dataclass

from components.errors import require

SHINGLE_WORDS = ("alphanumeric", "whitespace")


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicatesConfig:
    """How documents are compared: the key of the cached hashes of a shard covers every field."""

    near_duplicate_threshold: float = 0.8
    """Jaccard similarity of word shingles from which a document is a duplicate (arXiv 2107.06499, section 4.2)."""
    shingle_size: int = 5
    """Words in a shingle, as in arXiv 2107.06499, section 4.2; a CJK character counts as a word."""
    shingle_words: str = "alphanumeric"
    """What words are: `alphanumeric` means lower-cased runs of letters and digits, with each Han and kana character a word of its
    own, so that it suits Chinese and code; `whitespace` the text between white space as written, the rule of that paper."""
    permutations: int = 128
    """Values in a MinHash signature."""

    def __post_init__(self) -> None:
        threshold = self.near_duplicate_threshold
        require(0 < threshold <= 1, self, "near_duplicate_threshold", threshold, "above 0, at most 1")
        require(self.shingle_words in SHINGLE_WORDS, self, "shingle_words", self.shingle_words, ", ".join(SHINGLE_WORDS))
        for name in ("shingle_size", "permutations"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
