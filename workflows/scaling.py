"""Scaling: from a compute budget to a training plan, its check, and the verdict on what it predicted."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from components.artifacts import (
    Checkpoint,
    Mixture,
    Plan,
    TokenIndex,
    Tokenizer,
    TokenShards,
    TrainingOutcome,
    TrainingPlan,
    Verdict,
)
from components.checks.limits import PlanLimits
from components.model.configuration import CONFIG
from components.pretraining.config import PretrainingConfig
from components.scaling.config import FitConfig, ScalingConfig
from components.scaling.laws.files import law_fingerprint
from components.scaling.laws.law import Law
from components.tokenizer.special_tokens import SpecialTokens
from components.training.config import Choices
from infra.flyte import environments
from workflows.steps.checks import check
from workflows.steps.inputs import Component, only
from workflows.steps.run import Run
from workflows.steps.step import obtain, step
from workflows.steps.values import value_of


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRequest:
    """A budget, and what the recipe has already decided."""

    scaling: ScalingConfig
    choices: Choices


async def obtain_plan(
    run: Run, config: ScalingConfig, pretraining: PretrainingConfig, start: Checkpoint | None, **inputs: Any
) -> TrainingPlan:
    """The plan for a budget with what pretraining has decided, made again where the law's file has changed.

    Where training starts from a checkpoint and the recipe names no shape, the shape is that of `start`.
    """
    request = PlanRequest(scaling=config, choices=Choices.of(pretraining))
    return await obtain(run, scaling, request, start=start, **inputs)


async def obtain_verdicts(run: Run, plan: TrainingPlan, base: Checkpoint) -> dict[str, Verdict]:
    """The verdict on what the plan predicted of the base model; none where its law predicts no loss."""
    if value_of(run.store, plan, Plan).prediction is None:
        return {}
    return {"pretraining": await obtain(run, verdict, FitConfig(), plan=plan, checkpoint=base)}


def law_facts(config: PlanRequest) -> dict[str, str]:
    """A fingerprint of the law's file."""
    return {"law": law_fingerprint(config.scaling.law)}


@step(environments.cpu, TrainingPlan, facts=law_facts)
def scaling(
    config: PlanRequest,
    tokenizer: Annotated[Tokenizer, only(SpecialTokens.NAME)],
    token_shards: Annotated[TokenShards, only(TokenIndex.NAME, Mixture.NAME)],
    start: Annotated[Checkpoint | None, only(CONFIG)] = None,
) -> Component:
    """Plan shape, tokens, batch and learning rate by the scaling laws, with the recipe's choices beside them."""
    from components.scaling.planning.plan import plan

    return partial(plan, config.scaling, choices=config.choices)


@step(environments.cpu, Verdict)
def verdict(
    config: FitConfig,
    plan: Annotated[TrainingPlan, only(Plan.NAME, Law.NAME)],
    checkpoint: Annotated[Checkpoint, only(TrainingOutcome.NAME)],
) -> Component:
    """Compare a finished training run with its plan's prediction, and fit the law again with it."""
    from components.scaling.fitting.refit import judge_plan

    return judge_plan


check_plan = check("components.checks.plan", PlanLimits, TrainingPlan)
