"""Configuration of the tokenizer and the token shards."""

from dataclasses import dataclass, field, fields

from components.errors import require
from components.file_names import names_files

BYTES = 256
"""Size of the byte alphabet: a byte-level tokenizer has a regular token for every byte, whatever the data."""

NAMED_SPECIAL_TOKENS = 3
"""Number of special tokens with a meaning: beginning of sentence, end of sentence, and padding."""

LONGRUN, DEEPSEEK_LLM = PRE_TOKENIZERS = ("longrun", "deepseek-llm")
"""Names of the pre-tokenizers, which split text into pieces before BPE: see `components.tokenizer.pretokenization`."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "config.json", "special_tokens.json")
"""Files read from an existing tokenizer's directory; all but `tokenizer.json` are optional."""

ALLOWED_WITH_START = ("start", "vocab_multiple", "max_measured_bytes")
"""Fields that may be set together with `start`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerConfig:
    """A byte-level BPE tokenizer (DeepSeek LLM, arXiv 2401.02954, section 2.1)."""

    start: str = field(default="", metadata=names_files(patterns=TOKENIZER_FILES))
    """Directory, or its URI in a bucket, of an existing tokenizer to use for the new model: `tokenizer.json` of longrun or of
    Hugging Face's `tokenizers`, and the files that name its special tokens. Empty: a tokenizer is trained. If `start` is set,
    only `vocab_multiple` and `max_measured_bytes` may differ from their defaults."""
    pre_tokenizer: str = LONGRUN
    """How text is split into pieces; BPE never merges across a piece boundary. `longrun`, or `deepseek-llm`, which llama.cpp
    also supports. `deepseek-llm` needs up to 2 % more tokens for English and code, and more for Devanagari and for text with
    diacritics: 58 % for Vietnamese, 21 % for Hungarian, 14 % for Hindi, with a vocabulary of 16 384 tokens for 35 languages."""
    regular_tokens: int = 100_000
    """Number of text tokens: the 256 bytes and the merges of BPE (paper, section 2.1)."""
    special_tokens: int = 15
    """Number of special tokens, including reserved ones; their ids follow those of the regular tokens (paper, section 2.1)."""
    vocab_multiple: int = 4096
    """The model's vocabulary is rounded up to a multiple of this: with the defaults, 100 015 tokens become the paper's
    102 400 rows (section 2.1). It has no effect on an existing tokenizer whose files give the size of the vocabulary."""
    sample_bytes: int = 24_000_000_000
    """UTF-8 bytes to train on, drawn from each domain and language in proportion to its share of the mixture (paper, section
    2.1: about 24 GB)."""
    min_frequency: int = 2
    """Minimum frequency of a pair in the sample for BPE to merge it. The default of `tokenizers` is 0."""
    seed: int = 0
    """Decides which document of each portion the sample starts with."""
    max_measured_bytes: int = 64_000_000
    """Maximum UTF-8 bytes of validation text per domain on which tokens per byte and round trips are measured."""

    def __post_init__(self) -> None:
        known = self.pre_tokenizer in PRE_TOKENIZERS
        require(known, self, "pre_tokenizer", self.pre_tokenizer, ", ".join(PRE_TOKENIZERS))
        if self.start:
            self._refuse_beside_start()
        require(self.regular_tokens >= BYTES, self, "regular_tokens", self.regular_tokens, f"at least the {BYTES} bytes")
        enough = self.special_tokens >= NAMED_SPECIAL_TOKENS
        require(enough, self, "special_tokens", self.special_tokens, f"at least {NAMED_SPECIAL_TOKENS} (BOS, EOS and padding)")
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
        remedy = 'set only `start`, as TokenizerConfig(start="…") or --set \'tokenizer={"start": "…"}\''
        for other in fields(self):
            value, usual = getattr(self, other.name), other.default
            allowed = f"only its default {usual!r} with an existing tokenizer (start): {remedy}"
            require(other.name in ALLOWED_WITH_START or value == usual, self, other.name, value, allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShardsConfig:
    """How the corpus is divided into token shards."""

    shard_bytes: int = 1 << 30
    """Maximum UTF-8 bytes of text per shard; a longer document gets a shard of its own. Shards are divided by text, not by
    tokens: the size of the text is known before encoding, so workers need not wait for each
    other. 1 GiB of text is about 250 M tokens."""

    def __post_init__(self) -> None:
        require(self.shard_bytes > 0, self, "shard_bytes", self.shard_bytes, "a positive integer")
