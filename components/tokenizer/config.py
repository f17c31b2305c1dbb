"""What can be chosen about the tokenizer and the token shards."""

from dataclasses import dataclass

from components.errors import require

BYTES = 256
"""The alphabet of a byte-level tokenizer, which has a regular token for each byte, whatever the data."""

NAMED_SPECIAL_TOKENS = 3
"""Beginning of sentence, end of sentence, padding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """A byte-level BPE tokenizer (DeepSeek LLM, arXiv 2401.02954, section 2.1)."""

    regular_tokens: int = 100_000
    """Tokens of text: the 256 bytes, and those that BPE merges (paper, section 2.1)."""
    special_tokens: int = 15
    """Control tokens, which follow the regular ones; reserved ones included (paper, section 2.1)."""
    vocab_multiple: int = 4096
    """The model's vocabulary is rounded up to a multiple of this; 100 015 then becomes the paper's 102 400 (section 2.1)."""
    sample_bytes: int = 24_000_000_000
    """UTF-8 bytes to train on, from the portions of the mixture by their shares (paper, section 2.1: about 24 GB)."""
    min_frequency: int = 2
    """How often a pair must occur in the sample to be merged: once teaches nothing. The library's own default is 0."""
    seed: int = 0
    """Decides which document of each portion the sample starts with."""
    max_measured_bytes: int = 64_000_000
    """UTF-8 bytes of each domain's validation documents, at most, on which fertility and round trip are measured."""

    def __post_init__(self) -> None:
        require(self.regular_tokens >= BYTES, self, "regular_tokens", self.regular_tokens, f"at least the {BYTES} bytes")
        enough = self.special_tokens >= NAMED_SPECIAL_TOKENS
        require(enough, self, "special_tokens", self.special_tokens, f"at least the {NAMED_SPECIAL_TOKENS} with a use")
        for name in ("vocab_multiple", "sample_bytes", "min_frequency", "max_measured_bytes"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        require(self.seed >= 0, self, "seed", self.seed, "0 or more")

    @property
    def vocab_size(self) -> int:
        """Rows of the model's embedding: regular and special tokens, padded."""
        return -(-(self.regular_tokens + self.special_tokens) // self.vocab_multiple) * self.vocab_multiple


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShardsConfig:
    """How the corpus is divided into token shards."""

    shard_bytes: int = 1 << 30
    """UTF-8 bytes of text in a shard, at most, unless a document alone is longer. Shards are divided by text, not by tokens:
    its size is known before encoding, so that workers need not wait for each other. 1 GiB of text is about 250 M tokens."""

    def __post_init__(self) -> None:
        require(self.shard_bytes > 0, self, "shard_bytes", self.shard_bytes, "a positive integer")
