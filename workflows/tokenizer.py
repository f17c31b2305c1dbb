"""Tokenizer: from a corpus to a byte-level BPE and token shards, and their check."""

from typing import Annotated

from components.artifacts import Checkpoint, Corpus, Mixture, TokenIndex, Tokenizer, TokenShards
from components.checks.limits import TokenShardsLimits
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from components.tokenizer.special_tokens import TOKENIZER_FILES, SpecialTokens
from infra.flyte import environments
from workflows.steps.checks import check
from workflows.steps.inputs import Component, only
from workflows.steps.step import step

DOCUMENTS = only("documents/*", Mixture.NAME)
"""What is read of a corpus where its texts are: of both splits."""


def tokenizer_facts(config: TokenizerConfig) -> dict[str, str]:
    """A fingerprint of the files of an existing tokenizer that the config names."""
    from components.locations import fingerprint
    from components.tokenizer.origin import files_of

    return {"files": fingerprint(files_of(config.start))} if config.start else {}


@step(environments.cpu, Tokenizer, facts=tokenizer_facts)
def tokenizer(
    config: TokenizerConfig,
    corpus: Annotated[Corpus, DOCUMENTS],
    start: Annotated[Checkpoint | None, only(*TOKENIZER_FILES)] = None,
) -> Component:
    """Train the tokenizer on a byte-weighted sample of the corpus, or take an existing one.

    The existing one is that of the checkpoint `start` where training starts, or that in `config.start`.
    """
    from components.tokenizer.training import reuse_tokenizer, train_tokenizer

    return reuse_tokenizer if start or config.start else train_tokenizer


@step(environments.data, TokenShards)
def token_shards(
    config: TokenShardsConfig, corpus: Annotated[Corpus, DOCUMENTS], tokenizer: Annotated[Tokenizer, only(*TOKENIZER_FILES)]
) -> Component:
    """Encode the corpus into memory-mapped token shards."""
    from components.tokenizer.token_shards import encode_corpus

    return encode_corpus


check_token_shards = check(
    "components.checks.token_shards",
    TokenShardsLimits,
    Annotated[TokenShards, only(TokenIndex.NAME, Mixture.NAME, "metrics/*")],
    tokenizer=Annotated[Tokenizer, only(SpecialTokens.NAME, "metrics/*")],
)
