"""What can be chosen about the tokenizer and the token shards."""

from dataclasses import dataclass, field, fields

from components.errors import require
from components.file_names import names_files

BYTES = 256
"""The alphabet of a byte-level tokenizer, which has a regular token for each byte, whatever the data."""

NAMED_SPECIAL_TOKENS = 3
"""Beginning of sentence, end of sentence, padding."""

LONGRUN, DEEPSEEK_LLM = SPLITS = ("longrun", "deepseek-llm")
"""The ways to split text into pieces before BPE: `components.tokenizer.pretokenization` describes them."""

READ = ("tokenizer.json", "tokenizer_config.json", "config.json", "special_tokens.json")
"""The files that are read of an existing tokenizer; of those beside `tokenizer.json`, the ones that exist."""

ALLOWED_WITH_START = ("start", "vocab_multiple", "max_measured_bytes")
"""The fields that have an effect on an existing tokenizer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """A byte-level BPE tokenizer (DeepSeek LLM, arXiv 2401.02954, section 2.1)."""

    start: str = field(default="", metadata=names_files(patterns=READ))
    """Directory, or its URI in a bucket, of an existing tokenizer that the new model gets: `tokenizer.json` of longrun or of
    Hugging Face's library, and the files that name its control tokens. Empty: a tokenizer is trained. Beside it only
    `vocab_multiple` and `max_measured_bytes` may differ from their defaults."""
    splits: str = LONGRUN
    """How text is split into pieces, beyond which BPE merges nothing: `longrun`, or `deepseek-llm`, which llama.cpp can apply
    too. `deepseek-llm` needs up to 2 % more tokens for English and code, and more for letters with diacritics and Devanagari:
    58 % for Vietnamese, 21 % for Hungarian, 14 % for Hindi, measured with 16 384 tokens trained on 35 languages."""
    regular_tokens: int = 100_000
    """Tokens of text: the 256 bytes, and those that BPE merges (paper, section 2.1)."""
    special_tokens: int = 15
    """Control tokens, which follow the regular ones; reserved ones included (paper, section 2.1)."""
    vocab_multiple: int = 4096
    """The model's vocabulary is rounded up to a multiple of this; 100 015 then becomes the paper's 102 400 (section 2.1). It
    has no effect on an existing tokenizer whose files give the size of the vocabulary."""
    sample_bytes: int = 24_000_000_000
    """UTF-8 bytes to train on, from the portions of the mixture by their shares (paper, section 2.1: about 24 GB)."""
    min_frequency: int = 2
    """How often a pair must occur in the sample to be merged: once teaches nothing. The library's own default is 0."""
    seed: int = 0
    """Decides which document of each portion the sample starts with."""
    max_measured_bytes: int = 64_000_000
    """UTF-8 bytes of each domain's validation documents, at most, on which fertility and round trip are measured."""

    def __post_init__(self) -> None:
        require(self.splits in SPLITS, self, "splits", self.splits, ", ".join(SPLITS))
        if self.start:
            self._refuse_beside_start()
        require(self.regular_tokens >= BYTES, self, "regular_tokens", self.regular_tokens, f"at least the {BYTES} bytes")
        enough = self.special_tokens >= NAMED_SPECIAL_TOKENS
        require(enough, self, "special_tokens", self.special_tokens, f"at least the {NAMED_SPECIAL_TOKENS} with a use")
        for name in ("vocab_multiple", "sample_bytes", "min_frequency", "max_measured_bytes"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        require(self.seed >= 0, self, "seed", self.seed, "0 or more")

    @property
    def vocab_size(self) -> int:
        """Rows of the model's embedding: regular and special tokens, padded."""
        return self.padded(self.regular_tokens + self.special_tokens)

    def padded(self, tokens: int) -> int:
        """The smallest multiple of `vocab_multiple` that is at least `tokens`."""
        return -(-tokens // self.vocab_multiple) * self.vocab_multiple

    def _refuse_beside_start(self) -> None:
        """Raise `ConfigError` if a field is set that has no effect on an existing tokenizer."""
        remedy = 'name the tokenizer alone, as TokenizerConfig(start="…") or --set \'tokenizer={"start": "…"}\''
        for other in fields(self):
            value, usual = getattr(self, other.name), other.default
            allowed = f"only its default {usual!r} with an existing tokenizer (start): {remedy}"
            require(other.name in ALLOWED_WITH_START or value == usual, self, other.name, value, allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShardsConfig:
    """How the corpus is divided into token shards."""

    shard_bytes: int = 1 << 30
    """UTF-8 bytes of text in a shard, at most, unless a document alone is longer. Shards are divided by text, not by tokens:
    its size is known before encoding, so that workers need not wait for each other. 1 GiB of text is about 250 M tokens."""

    def __post_init__(self) -> None:
        require(self.shard_bytes > 0, self, "shard_bytes", self.shard_bytes, "a positive integer")
