"""`longrun run RECIPE --from RUN --at 80%`: pretraining that begins where that of another run was after a share of its steps.

A finished pretraining leaves its permanent checkpoints as artifacts of their own. Their place follows from the cache key of the
base model and from the step, so that they are also found for a run that reused it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Artifact, Manifest, TrainingState
from components.errors import ConfigError
from components.training.config import first_step
from infra import caching
from infra.settings import Settings
from workflows.steps.journal import Journal, find_journal
from workflows.steps.step import Branch, Run, Work

if TYPE_CHECKING:
    from components.ports import ArtifactStore

STEP = "training_state"


def keep_states(work: Work, config: Any, checkpoints: Sequence[Path], inputs: Mapping[str, Artifact]) -> None:
    """Publish what other trainings can branch from."""
    from components.ports.store import records_of
    from components.pretraining.beginnings import keep

    order, store = work.order, work.order.run.store
    for place in checkpoints:
        with store.writing(STEP) as output:
            figures = keep(place, output)
            manifest = Manifest(
                step=STEP,
                kind=TrainingState.__name__,
                cache_key=_key(order.cache_key, figures["step"]),
                config=caching.as_json(config),
                code_digest=order.code_digest,
                environment_digest=caching.environment_digest(),
                inputs=dict(inputs),
                files=records_of(output),
                figures=figures,
            )
            kept = store.publish(output, manifest)
        order.run.journal.write("kept", step=STEP, uri=kept.uri, digest=kept.digest, figures=figures)


def find_branch(settings: Settings, run: str, at: str) -> Branch:
    """Where a training branches off that of `run`, after the share `at` of its steps, such as 80% or 0.8.

    `run` is a run's id, or `latest`: the newest that has finished pretraining.

    Raises:
        ConfigError: no such run, one without a finished pretraining, or one that has kept no checkpoint there.
    """

    share, journal = _share(at), _newest(settings) if run == "latest" else find_journal(settings.runs, run)
    uri = _base_of(journal)
    if not uri:
        raise ConfigError(f"run {journal.name} has not finished pretraining; run its recipe again: it goes on where it stopped")
    store = settings.store
    base = store.manifest(uri)
    state = _find(store, base, share)
    if state is None:
        kept = [f"{other:.4g}" for other in base.config.get("permanent_checkpoints", ()) if _find(store, base, other)]
        raise ConfigError(
            f"run {journal.name} has no training state after {share:.4g} of its steps; it has: {', '.join(kept) or 'none'}; "
            "pretraining.permanent_checkpoints says which are kept"
        )
    return Branch(run=journal.name, state=state)


def require_same_data(run: Run, **inputs: Artifact) -> None:
    """Raise `ConfigError` where the trunk learned from other artifacts than its branch would."""
    if run.branch is None:
        return
    theirs = run.store.manifest(run.branch.state.uri).inputs
    for name, artifact in inputs.items():
        if artifact.digest != theirs[name].digest:
            raise ConfigError(
                f"{name.replace('_', ' ')} {artifact.digest[:12]}: run {run.branch.run} learned from {theirs[name].digest[:12]}; "
                "a branch needs the same sources, curation and tokenizer: take those, or train without --from"
            )


def of_parent(run: Run) -> dict[str, Any]:
    """For the figures of a branch: the run, the step and the training state where it begins."""
    if run.branch is None:
        return {}
    step = run.store.manifest(run.branch.state.uri).figures["step"]
    return {"branched_from": {"run": run.branch.run, "step": step, "training_state": run.branch.state.digest}}


def _newest(settings: Settings) -> Journal:
    journals = [Journal(place) for place in sorted(settings.runs.iterdir(), reverse=True)] if settings.runs.is_dir() else []
    return next((journal for journal in journals if _base_of(journal)), find_journal(settings.runs, "latest"))


def _base_of(journal: Journal) -> str:
    """Where the base model of a run is; empty where it has none yet."""
    found = [event for event in journal.events() if event.get("step") == "pretraining" and event["event"] in {"made", "cached"}]
    return str(found[-1]["uri"]) if found else ""


def _find(store: "ArtifactStore", base: Manifest, share: float) -> TrainingState | None:
    found = store.find(STEP, _key(base.cache_key, first_step(share, base.figures["steps"])))
    return found.as_(TrainingState) if found else None


def _key(base: str, step: int) -> str:
    return hashlib.sha256(f"{base}/{step}".encode()).hexdigest()


def _share(text: str) -> float:
    number = text.removesuffix("%")
    share = float(number) / (100 if number != text else 1) if number.replace(".", "", 1).isdigit() else 0.0
    if not 0 < share <= 1:
        raise ConfigError(f"--at {text}: allowed: a share of the training, such as 80% or 0.8")
    return share
