"""Pretraining: from token shards and a plan to a base model, and its check."""

from typing import Any

from components.artifacts import Check, Checkpoint, Tokenizer, TokenShards, TrainingPlan, TrainingState
from components.checks.limits import TrainingLimits
from components.pretraining.config import PretrainingConfig
from infra import environments
from workflows.branching import keep_states, of_parent
from workflows.step import Order, Work, make


@environments.train.task
async def pretraining(
    order: Order,
    config: PretrainingConfig,
    plan: TrainingPlan,
    token_shards: TokenShards,
    tokenizer: Tokenizer,
    trunk: TrainingState | None = None,
) -> Checkpoint:
    """Train the base model, from the beginning or from where another one is as it would be; keep what others branch from."""
    from components.pretraining.pretrain import permanent_checkpoints, pretrain

    inputs = {"plan": plan, "token_shards": token_shards, "tokenizer": tokenizer}

    def work(job: Work) -> dict[str, Any]:
        figures = pretrain(
            config,
            plan=job.local(plan),
            token_shards=job.local(token_shards),
            tokenizer=job.local(tokenizer),
            output=job.output,
            scratch=job.scratch,
            launcher=job.launcher,
            metrics=job,
            trunk=job.local(trunk) if trunk else None,
        )
        keep_states(job, config, permanent_checkpoints(config, plan=job.local(plan), scratch=job.scratch), inputs)
        return figures | of_parent(job.order.run)

    return make(order, Checkpoint, config, work, **inputs, trunk=trunk)


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
