"""The evaluation stage: the step that compares the base, SFT and DPO models with baselines, and its check."""

from typing import Annotated

from components.artifacts import (
    Checkpoint,
    Conversations,
    Corpus,
    EvaluationReport,
    Findings,
    Mixture,
    Omissions,
    PreferencePairs,
    TokenIndex,
    TokenShards,
)
from components.checks.limits import EvaluationLimits
from components.evaluation.config import EvaluationConfig
from components.model.configuration import MODEL
from infra.flyte import environments
from workflows.steps.checks import check
from workflows.steps.inputs import Component, only
from workflows.steps.step import step


@step(environments.evaluate, EvaluationReport)
def evaluation(
    config: EvaluationConfig,
    corpus: Annotated[Corpus, only("documents/*", Mixture.NAME, "benchmarks.parquet", "contamination.parquet", Omissions.NAME)],
    token_shards: Annotated[TokenShards, only(TokenIndex.NAME, "validation/*")],
    conversations: Annotated[Conversations, only("validation.jsonl")],
    pairs: Annotated[PreferencePairs, only("validation.jsonl")],
    checkpoints: Annotated[dict[str, Checkpoint], only(*MODEL, "metrics/*")],
) -> Component:
    """Evaluate the models on the held-out split."""
    from components.evaluation.evaluate import evaluate

    return evaluate


check_evaluation = check(
    "components.checks.evaluation", EvaluationLimits, Annotated[EvaluationReport, only(Findings.NAME, "metrics/*")]
)
