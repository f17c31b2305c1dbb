"""Tokenizer: from a corpus to a byte-level BPE and token shards, and their check."""

from typing import Any

from components.artifacts import Check, Checkpoint, Corpus, Tokenizer, TokenShards
from components.checks.limits import TokenShardsLimits
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from infra.flyte import environments
from workflows.steps.step import Order, Work, make


@environments.cpu.task
async def tokenizer(order: Order, config: TokenizerConfig, corpus: Corpus, start: Checkpoint | None = None) -> Tokenizer:
    """Train the tokenizer on a byte-weighted sample of the corpus, or take that of the checkpoint where training starts."""
    from components.tokenizer.training import adopt_tokenizer, train_tokenizer

    def train_or_adopt(work: Work) -> dict[str, Any]:
        if start is None:
            return train_tokenizer(config, corpus=work.local(corpus), output=work.output, metrics=work)
        return adopt_tokenizer(config, start=work.local(start), corpus=work.local(corpus), output=work.output, metrics=work)

    return make(order, Tokenizer, config, train_or_adopt, corpus=corpus, start=start)


@environments.data.task
async def token_shards(order: Order, config: TokenShardsConfig, corpus: Corpus, tokenizer: Tokenizer) -> TokenShards:
    """Encode the corpus into memory-mapped token shards."""
    from components.tokenizer.token_shards import encode_corpus

    return make(
        order,
        TokenShards,
        config,
        lambda work: encode_corpus(
            config,
            corpus=work.local(corpus),
            tokenizer=work.local(tokenizer),
            output=work.output,
            engine=work.engine,
            metrics=work,
        ),
        corpus=corpus,
        tokenizer=tokenizer,
    )


@environments.cpu.task
async def check_token_shards(order: Order, limits: TokenShardsLimits, token_shards: TokenShards, tokenizer: Tokenizer) -> Check:
    """Check ids, counts, fertility and round trip."""
    from components.checks.token_shards import check

    return make(
        order,
        Check,
        limits,
        lambda work: work.report(
            check(limits, artifact=work.local(token_shards), output=work.output, tokenizer=work.local(tokenizer))
        ),
        token_shards=token_shards,
        tokenizer=tokenizer,
    )
