"""The registration stage: makes the model directory with card and lineage, and a version in the registry."""

from functools import partial
from pathlib import Path
from typing import Annotated

from components.artifacts import (
    Check,
    Checkpoint,
    EvaluationReport,
    Findings,
    Plan,
    PlanVerdict,
    RegisteredModel,
    TrainingPlan,
    Verdict,
)
from components.model.configuration import MODEL
from components.registration.config import CARD, RegistrationConfig
from infra.flyte import environments
from infra.mlflow import registry
from infra.mlflow.reference import log_reference
from infra.urls import HERE
from workflows.steps import tracked
from workflows.steps.inputs import Component, only
from workflows.steps.run import Run
from workflows.steps.step import step
from workflows.steps.work import Work


@step(environments.cpu, RegisteredModel)
def registration(
    work: Work,
    config: RegistrationConfig,
    checkpoint: Annotated[Checkpoint, only(*MODEL)],
    report: Annotated[EvaluationReport, only(Findings.NAME)],
    plan: Annotated[TrainingPlan, only(Plan.NAME)],
    checks: dict[str, Check],
    verdicts: Annotated[dict[str, Verdict], only(PlanVerdict.NAME)],
) -> Component:
    """Apply the promotion rules, then write the model directory that the registry refers to."""
    from components.registration.prepare import prepare
    from workflows.steps.lineage import lineage_of

    return partial(
        prepare,
        lineage=lineage_of(work.order.store, checkpoint),
        checks=[report for check in checks.values() for report in work.manifest(check).checks],
    )


def _source(run: Run, model: RegisteredModel, directory: Path) -> str:
    """URI from which MLflow loads the model: its directory in a bucket, or a reference to its directory in the home."""
    if run.artifact_root != HERE:
        return f"{run.artifact_root}/{model.uri}"
    return log_reference(run.tracking_uri, run.mlflow_run, directory)


def enter_registry(run: Run, config: RegistrationConfig, model: RegisteredModel) -> None:
    """Register `model` as a version of `config.name`, unless a version already has its content, and set the alias.

    Hashes all its files again, without using cached results. Raises `DamagedArtifact` if one differs.
    """
    from components.ports.store import damaged
    from components.registration.card import card_summary

    manifest = run.store.manifest(model.uri)
    if differences := run.store.differences(model):
        raise damaged(model.uri, differences[0], manifest)
    directory = run.store.local(model, () if run.artifact_root == HERE else (CARD,))
    tags = {"code_digest": manifest.code_digest, "environment_digest": manifest.environment_digest, "run": run.journal.name}
    version, new = registry.register(
        run.tracking_uri,
        config.name,
        model,
        source=_source(run, model, directory),
        run_id=run.mlflow_run,
        alias=config.alias,
        tags=tags,
        description=card_summary((directory / CARD).read_text(encoding="utf-8"), registry.MAX_DESCRIPTION),
    )
    tracked.show_version(run, str(version))
    digests = {"digest": model.digest, "content": model.content}
    run.journal.write("registered", model=str(version), aliases=list(version.aliases), new=new, **digests)
