"""Scaling: from a compute budget to a training plan, its check, and the verdict on what it predicted."""

from dataclasses import dataclass
from typing import Any

from components.artifacts import Check, Checkpoint, ModelShape, Tokenizer, TokenShards, TrainingPlan, Verdict
from components.checks.limits import PlanLimits
from components.pretraining.config import PretrainingConfig
from components.scaling.config import FitConfig, ScalingConfig
from components.scaling.laws.files import law_fingerprint
from components.training.config import Choices
from infra.flyte import environments
from workflows.steps.step import Order, Run, make, obtain


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRequest:
    """A budget, and what the recipe has already decided."""

    scaling: ScalingConfig
    choices: Choices


async def obtain_plan(
    run: Run, config: ScalingConfig, pretraining: PretrainingConfig, start: Checkpoint | None, **inputs: Any
) -> TrainingPlan:
    """The plan for a budget with what pretraining has decided, made again where the law's file has changed.

    Where training starts from a checkpoint and the recipe names no shape, the shape is the checkpoint's.
    """
    shape = ModelShape(**run.store.manifest(start.uri).figures["shape"]) if start else None
    choices = Choices.of(pretraining, shape=pretraining.shape or shape)
    request = PlanRequest(scaling=config, choices=choices)
    plan: TrainingPlan = await obtain(run, scaling, request, facts={"law": law_fingerprint(config.law)}, **inputs)
    return plan


async def obtain_verdicts(run: Run, plan: TrainingPlan, base: Checkpoint) -> dict[str, Verdict]:
    """The verdict on what the plan predicted of the base model; none where its law predicts no loss."""
    if "prediction" not in run.store.manifest(plan.uri).figures:
        return {}
    return {"pretraining": await obtain(run, verdict, FitConfig(), plan=plan, checkpoint=base)}


@environments.cpu.task
async def scaling(order: Order, config: PlanRequest, tokenizer: Tokenizer, token_shards: TokenShards) -> TrainingPlan:
    """Plan shape, tokens, batch and learning rate by the scaling laws, with the recipe's choices beside them."""
    from components.scaling.planning.plan import plan

    return make(
        order,
        TrainingPlan,
        config,
        lambda work: plan(
            config.scaling,
            choices=config.choices,
            tokenizer=work.local(tokenizer),
            token_shards=work.local(token_shards),
            output=work.output,
        ),
        tokenizer=tokenizer,
        token_shards=token_shards,
    )


@environments.cpu.task
async def verdict(order: Order, config: FitConfig, plan: TrainingPlan, checkpoint: Checkpoint) -> Verdict:
    """Compare a finished training with its plan's prediction, and fit the law again with it."""
    from components.scaling.fitting.refit import judge_plan

    measured = order.run.store.manifest(checkpoint.uri).figures
    return make(
        order,
        Verdict,
        config,
        lambda work: judge_plan(config, plan=work.local(plan), measured=measured, output=work.output),
        plan=plan,
        checkpoint=checkpoint,
    )


@environments.cpu.task
async def check_plan(order: Order, limits: PlanLimits, plan: TrainingPlan) -> Check:
    """Check that the plan can be carried out."""
    from components.checks.plan import check

    return make(
        order,
        Check,
        limits,
        lambda work: work.report(check(limits, artifact=work.local(plan), output=work.output)),
        plan=plan,
    )
