"""Evaluation of the base, SFT and DPO models beside baselines, and its check."""

from components.artifacts import Check, Checkpoint, Conversations, Corpus, EvaluationReport, PreferencePairs, TokenShards
from components.checks.limits import EvaluationLimits
from components.evaluation.config import EvaluationConfig
from infra.flyte import environments
from workflows.steps.step import Order, make


@environments.evaluate.task
async def evaluation(
    order: Order,
    config: EvaluationConfig,
    corpus: Corpus,
    token_shards: TokenShards,
    conversations: Conversations,
    pairs: PreferencePairs,
    checkpoints: dict[str, Checkpoint],
) -> EvaluationReport:
    """Measure the models on the held-out split."""
    from components.evaluation.evaluate import EvaluationInputs, evaluate

    return make(
        order,
        EvaluationReport,
        config,
        lambda work: evaluate(
            config,
            EvaluationInputs(
                corpus=work.local(corpus),
                token_shards=work.local(token_shards),
                conversations=work.local(conversations),
                pairs=work.local(pairs),
                checkpoints={name: work.local(checkpoint) for name, checkpoint in checkpoints.items()},
            ),
            output=work.output,
            scratch=work.scratch,
            metrics=work,
        ),
        corpus=corpus,
        token_shards=token_shards,
        conversations=conversations,
        pairs=pairs,
        checkpoints=checkpoints,
    )


@environments.cpu.task
async def check_evaluation(order: Order, limits: EvaluationLimits, report: EvaluationReport) -> Check:
    """Check that every model was measured on the same bytes."""
    from components.checks.evaluation import check

    return make(
        order,
        Check,
        limits,
        lambda work: work.report(check(limits, artifact=work.local(report), output=work.output)),
        report=report,
    )
