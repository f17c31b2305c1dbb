"""Pretraining: from token shards and a plan to a base model, and its check."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifacts import Artifact, Check, Checkpoint, Tokenizer, TokenShards, TrainingPlan, TrainingState
from components.checks.limits import TrainingLimits
from components.pretraining.config import PretrainingConfig
from infra.flyte import environments
from workflows.steps.branching import branch_figures, keep_states
from workflows.steps.step import Order, Run, Work, make, obtain


async def obtain_start(run: Run, config: PretrainingConfig) -> Checkpoint | None:
    """The checkpoint whose weights and tokenizer pretraining starts with, imported; None: it starts with neither."""
    if not config.start:
        return None
    from components.model.origin import fingerprint

    facts = {"files": fingerprint(Path(config.start))}
    imported: Checkpoint = await obtain(run, start, Start(directory=config.start), facts=facts)
    return imported


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """The model whose weights and tokenizer training starts with."""

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
    """Train the base model from new weights, from those of `start`, or from the training state `trunk` of another training.

    Its permanent checkpoints are kept for others to branch from.
    """
    from components.pretraining.pretrain import PretrainingInputs, permanent_checkpoints, pretrain

    inputs: dict[str, Artifact] = {"plan": plan, "token_shards": token_shards, "tokenizer": tokenizer}
    inputs |= {"start": start} if start else {}

    def train(work: Work) -> dict[str, Any]:
        directories = PretrainingInputs(
            plan=work.local(plan),
            token_shards=work.local(token_shards),
            tokenizer=work.local(tokenizer),
            start=work.local(start) if start else None,
            trunk=work.local(trunk) if trunk else None,
        )
        figures = pretrain(
            config,
            directories,
            output=work.output,
            scratch=work.scratch,
            launcher=work.launcher,
            metrics=work,
            uploads=work.remote_scratch,
        )
        keep_states(work, config, permanent_checkpoints(config, plan=directories.plan, scratch=work.scratch), inputs)
        return figures | branch_figures(work.order.run)

    return make(order, Checkpoint, config, train, **inputs, trunk=trunk)


@environments.cpu.task
async def check_pretraining(order: Order, limits: TrainingLimits, checkpoint: Checkpoint, token_shards: TokenShards) -> Check:
    """Check that the loss stayed finite and fell, and that training saw the mixture that it should."""
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
