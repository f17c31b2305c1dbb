"""Registration: a model with its card and lineage, and a version in the registry."""

import platform
from urllib.parse import urlsplit

from components.artifacts import Check, Checkpoint, EvaluationReport, RegisteredModel, Verdict
from components.registration.config import RegistrationConfig
from infra.flyte import environments
from infra.mlflow import registry
from infra.urls import HERE
from workflows.steps.step import Order, Run, make


@environments.cpu.task
async def registration(
    order: Order,
    config: RegistrationConfig,
    checkpoint: Checkpoint,
    report: EvaluationReport,
    checks: dict[str, Check],
    verdicts: dict[str, Verdict],
) -> RegisteredModel:
    """Apply the promotion rule, then write the model directory that the registry will point to."""
    from components.registration.prepare import prepare
    from workflows.steps.lineage import tree

    store = order.run.store
    return make(
        order,
        RegisteredModel,
        config,
        lambda work: prepare(
            config,
            checkpoint=work.local(checkpoint),
            report=work.local(report),
            lineage=tree(store, checkpoint),
            checks=[found for check in checks.values() for found in store.manifest(check.uri).checks],
            verdicts=[store.manifest(judged.uri).figures for judged in verdicts.values()],
            output=work.output,
        ),
        checkpoint=checkpoint,
        report=report,
        checks=checks,
        verdicts=verdicts,
    )


def _source(run: Run, model: RegisteredModel) -> str:
    """Where MLflow shall say that the files are: a server refuses a plain path, which might be one of its own machine."""
    if run.artifact_root != HERE:
        return f"{run.artifact_root}/{model.uri}"
    place = run.store.local(model)
    return f"sftp://{platform.node()}{place}" if urlsplit(run.tracking_uri).scheme in {"http", "https"} else str(place)


def enter_registry(run: Run, config: RegistrationConfig, model: RegisteredModel) -> None:
    """Register `model` as a version of `config.name`, unless a version already holds it."""
    manifest = run.store.manifest(model.uri)
    tags = {"code_digest": manifest.code_digest, "environment_digest": manifest.environment_digest, "run": run.journal.name}
    version, new = registry.register(
        run.tracking_uri,
        config.name,
        model,
        source=_source(run, model),
        run_id=run.mlflow_run,
        alias=config.alias,
        tags=tags,
    )
    run.journal.write("registered", model=str(version), aliases=list(version.aliases), new=new, digest=model.digest)
