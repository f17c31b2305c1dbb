"""Pretraining: from token shards and a plan to a base model, and its check."""

from components.artifacts import Check, Checkpoint, Tokenizer, TokenShards, TrainingPlan
from components.checks.limits import TrainingLimits
from components.pretraining.config import PretrainingConfig
from infra import environments
from workflows.step import Order, make


@environments.train.task
async def pretraining(
    order: Order, config: PretrainingConfig, plan: TrainingPlan, token_shards: TokenShards, tokenizer: Tokenizer
) -> Checkpoint:
    """Train the base model."""
    from components.pretraining.pretrain import pretrain

    return make(
        order,
        Checkpoint,
        config,
        lambda work: pretrain(
            config,
            plan=work.local(plan),
            token_shards=work.local(token_shards),
            tokenizer=work.local(tokenizer),
            output=work.output,
            scratch=work.scratch,
            launcher=work.launcher,
            metrics=work,
        ),
        plan=plan,
        token_shards=token_shards,
        tokenizer=tokenizer,
    )


@environments.cpu.task
async def check_pretraining(order: Order, limits: TrainingLimits, checkpoint: Checkpoint, token_shards: TokenShards) -> Check:
    """Check that training stayed finite, fell, and saw the mixture it was told to."""
    from components.checks.training import check

    return make(
        order,
        Check,
        limits,
        lambda work: work.report(
            check(limits, artifact=work.local(checkpoint), output=work.output, token_shards=work.local(token_shards))
        ),
        checkpoint=checkpoint,
        token_shards=token_shards,
    )
