"""Tokenizer: from a corpus to a byte-level BPE and token shards, and their check."""

from components.artifacts import Checkpoint, Corpus, Tokenizer, TokenShards
from components.checks.limits import TokenShardsLimits
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from infra.flyte import environments
from workflows.steps.checks import check
from workflows.steps.inputs import Component
from workflows.steps.step import step


@step(environments.cpu, Tokenizer)
def tokenizer(config: TokenizerConfig, corpus: Corpus, start: Checkpoint | None = None) -> Component:
    """Train the tokenizer on a byte-weighted sample of the corpus, or take that of the checkpoint where training starts."""
    from components.tokenizer.training import adopt_tokenizer, train_tokenizer

    return adopt_tokenizer if start else train_tokenizer


@step(environments.data, TokenShards)
def token_shards(config: TokenShardsConfig, corpus: Corpus, tokenizer: Tokenizer) -> Component:
    """Encode the corpus into memory-mapped token shards."""
    from components.tokenizer.token_shards import encode_corpus

    return encode_corpus


check_token_shards = check("components.checks.token_shards", TokenShardsLimits, TokenShards, tokenizer=Tokenizer)
