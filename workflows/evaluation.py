"""Evaluation of the base, SFT and DPO models beside baselines, and its check."""

from components.artifacts import Checkpoint, Conversations, Corpus, EvaluationReport, PreferencePairs, TokenShards
from components.checks.limits import EvaluationLimits
from components.evaluation.config import EvaluationConfig
from infra.flyte import environments
from workflows.steps.checks import check
from workflows.steps.inputs import Component
from workflows.steps.step import step


@step(environments.evaluate, EvaluationReport)
def evaluation(
    config: EvaluationConfig,
    corpus: Corpus,
    token_shards: TokenShards,
    conversations: Conversations,
    pairs: PreferencePairs,
    checkpoints: dict[str, Checkpoint],
) -> Component:
    """Measure the models on the held-out split."""
    from components.evaluation.evaluate import evaluate

    return evaluate


check_evaluation = check("components.checks.evaluation", EvaluationLimits, EvaluationReport)
