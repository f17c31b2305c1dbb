"""Scaling: from a compute budget to a training plan, its check, and the verdict on what it predicted."""

from dataclasses import dataclass

from components.artifacts import Check, Checkpoint, Tokenizer, TokenShards, TrainingPlan, Verdict
from components.checks.limits import PlanLimits
from components.scaling.config import Choices, FitConfig, ScalingConfig
from infra.flyte import environments
from workflows.steps.step import Order, make


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRequest:
    """A budget, and what the recipe has already decided."""

    scaling: ScalingConfig
    choices: Choices


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
    """Hold a finished training against its plan's prediction, and fit the law again with it."""
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
