"""What token shards hold: how many tokens of each split, domain and language, and in which files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from components.artifacts.json_file import OPTIONAL, JsonFile
from components.artifacts.mixture import portion_name
from components.artifacts.splits import TRAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardTokens:
    """One file of a domain."""

    name: str
    """Relative to the domain's directory."""
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Consecutive tokens of a domain."""

    start: int
    """Offset of the first one within the domain."""
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainTokens:
    """What one split holds of one domain."""

    tokens: int
    """BOS and EOS of the documents included."""
    documents: int
    bytes: int
    """UTF-8 bytes of the texts."""
    shards: tuple[ShardTokens, ...]
    """In the order of the tokens."""
    languages: Mapping[str, Span] = field(default_factory=dict, metadata=OPTIONAL)
    """The span of each language; empty for a domain that is not divided by language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenIndex(JsonFile):
    """The index of token shards."""

    NAME: ClassVar[str] = "index.json"
    STEP: ClassVar[str] = "the step token_shards"

    dtype: Literal["uint16", "uint32"]
    """Of the ids in the files, little-endian."""
    vocab_size: int
    """Rows of the model's embedding; all ids are below."""
    splits: Mapping[str, Mapping[str, DomainTokens]]
    """By split and domain."""

    @property
    def training_tokens(self) -> dict[str, int]:
        """Training tokens of each domain, and of each `DOMAIN/LANGUAGE` with a span of its own."""
        train = self.splits[TRAIN]
        whole = {domain: held.tokens for domain, held in train.items()}
        spans = [(portion_name(domain, name), span) for domain, held in train.items() for name, span in held.languages.items()]
        return whole | {name: span.tokens for name, span in spans}
