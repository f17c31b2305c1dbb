"""The index of token shards: the number of tokens per split, domain and language, and the files that hold them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from components.artifacts.json_file import OPTIONAL, JsonFile
from components.artifacts.mixture import portion_name
from components.artifacts.splits import TRAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardTokens:
    """One file with tokens of a domain."""

    name: str
    """Path relative to the domain's directory."""
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Consecutive tokens of a domain."""

    start: int
    """Offset of the first token in the domain."""
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainTokens:
    """The tokens of one domain in one split."""

    tokens: int
    """Number of tokens, including BOS and EOS of each document."""
    documents: int
    bytes: int
    """UTF-8 bytes of the texts."""
    shards: tuple[ShardTokens, ...]
    """The files, in the order of the tokens."""
    languages: Mapping[str, Span] = field(default_factory=dict, metadata=OPTIONAL)
    """The span of each language; empty if the domain is not divided by language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenIndex(JsonFile):
    """The index of token shards."""

    NAME: ClassVar[str] = "index.json"
    STEP: ClassVar[str] = "the step token_shards"

    dtype: Literal["uint16", "uint32"]
    """Type of the token ids in the files, little-endian."""
    vocab_size: int
    """Rows of the model's embedding; all token ids are smaller."""
    splits: Mapping[str, Mapping[str, DomainTokens]]
    """Tokens by split and domain."""

    @property
    def training_tokens(self) -> dict[str, int]:
        """Number of training tokens of each domain, and of each `DOMAIN/LANGUAGE` in domains divided by language."""
        train = self.splits[TRAIN]
        whole = {domain: held.tokens for domain, held in train.items()}
        spans = [(portion_name(domain, name), span) for domain, held in train.items() for name, span in held.languages.items()]
        return whole | {name: span.tokens for name, span in spans}
