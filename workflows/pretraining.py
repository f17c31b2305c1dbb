"""Pretraining: from token shards and a plan to a base model, and its check."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifacts import Artifact, Check, Checkpoint, Tokenizer, TokenShards, TrainingPlan, TrainingState
from components.checks.limits import TrainingLimits
from components.pretraining.config import PretrainingConfig
from infra.flyte import environments
from workflows.steps.branching import keep_states, of_parent
from workflows.steps.step import Order, Work, make


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Whose weights and tokenizer training starts with."""

    directory: str
    """A Hugging Face LLaMA: config, safetensors, tokenizer.json."""


@environments.cpu.task
async def start(order: Order, config: Start) -> Checkpoint:
    """Import the checkpoint where continued pretraining starts."""
    from components.model.imported import import_checkpoint

    return make(order, Checkpoint, config, lambda work: import_checkpoint(Path(config.directory), work.output))


@environments.train.task
async def pretraining(
    order: Order,
    config: PretrainingConfig,
    plan: TrainingPlan,
    token_shards: TokenShards,
    tokenizer: Tokenizer,
    trunk: TrainingState | None = None,
    start: Checkpoint | None = None,
) -> Checkpoint:
    """Train the base model, from the weights of `start` or new ones, or from where another training came by; keep what others
    branch from."""
    from components.pretraining.pretrain import permanent_checkpoints, pretrain

    inputs: dict[str, Artifact] = {"plan": plan, "token_shards": token_shards, "tokenizer": tokenizer}
    inputs |= {"start": start} if start else {}

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
            start=job.local(start) if start else None,
            uploads=job.remote_scratch,
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
