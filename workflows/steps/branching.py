"""Implements `longrun run RECIPE --from RUN --at 80%`: pretraining that branches from another run's training.

A finished pretraining keeps its permanent checkpoints as artifacts, called training states. The cache key of a training state is
computed from the base model's cache key and the training step, so it is also found for a run that reused the base model.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Artifact, Manifest, TrainingOutcome, TrainingProgress, TrainingState, encoded
from components.decides import deciding
from components.errors import ConfigError
from components.files import JSON
from components.training.config import first_step
from infra import caching
from infra.settings import Settings
from workflows.steps.journal import Journal
from workflows.steps.journals import journal_of, journals, stored_journal
from workflows.steps.lock import recording
from workflows.steps.run import Branch, Run
from workflows.steps.values import value_of
from workflows.steps.work import Work

if TYPE_CHECKING:
    from components.ports import ArtifactStore

STEP = "training_state"


def keep_states(work: Work, config: Any, checkpoints: Sequence[Path]) -> None:
    """Publish permanent checkpoints as training states, from which other training runs can branch.

    A trunk is not recorded as their input, because a branch reaches the same state as a training run from the first step.
    """
    from components.ports.store import records_of
    from components.pretraining.shared_prefix import write_training_state

    order, store = work.order, work.order.store
    for checkpoint in checkpoints:
        with store.writing(STEP) as output:
            reached = write_training_state(checkpoint, output)
            key = _key(order.cache_key, reached.step)
            manifest = Manifest(
                step=STEP,
                kind=TrainingState.__name__,
                cache_key=key,
                config=caching.as_json(config),
                deciding=caching.as_json(config, deciding),
                code_digest=order.code_digest,
                environment_digest=caching.environment_digest(),
                inputs={name: artifact for name, artifact in work.inputs.items() if name != "trunk"},
                files=records_of(output, TrainingState),
                figures=encoded(reached),
                making=work.making(STEP, key),
            )
            with recording(Path(order.run.home)):
                state = store.publish(output, manifest)
                order.run.journal.write("kept", step=STEP, **state.pinned, figures=encoded(reached))


def find_branch(settings: Settings, run: str, at: str) -> Branch:
    """The branch from the training of `run` after the fraction `at` of its steps, such as 80% or 0.8.

    `run` is a run's id, or `latest` for the newest run that has finished pretraining.

    Raises:
        ConfigError: the run does not exist, has not finished pretraining, or has no training state at that step.
    """
    share, journal = share_of(at), _newest_trained(settings) if run == "latest" else journal_of(settings, run)
    return _branch(settings.store, journal, share)


def find_branch_on_cluster(settings: Settings, runs: Sequence[str], at: str) -> Branch:
    """As `find_branch`, in a driver's pod: from the first of `runs` on this cluster that has finished pretraining.

    Raises:
        ConfigError: no run has finished pretraining, or the first that has lacks a training state at that step.
        StoreError: the store cannot be reached.
    """
    known = (stored_journal(settings.artifact_root, run, settings.home / "parents") for run in runs)
    journal = next((journal for journal in known if journal.find("pretraining")), None)
    if journal is None:
        raise ConfigError(f"run {', '.join(runs)} has not finished pretraining on this cluster; run its recipe here first")
    return _branch(settings.store, journal, share_of(at))


def _branch(store: "ArtifactStore", journal: Journal, share: float) -> Branch:
    trained = journal.find("pretraining")
    if trained is None:
        raise ConfigError(f"run {journal.name} has not finished pretraining; run its recipe again: it resumes where it stopped")
    base = store.manifest(trained["uri"])
    steps = value_of(store, journal.artifact("pretraining"), TrainingOutcome).steps
    state = _find(store, base, first_step(share, steps))
    if state is None:
        kept = [f"{other:.4g}" for other in _permanent(base.config) if _find(store, base, first_step(other, steps))]
        raise ConfigError(
            f"run {journal.name} has no training state at {share:.4g} of its steps; it has them at: {', '.join(kept) or 'none'}; "
            "choose which to keep with pretraining.training.checkpoints.permanent"
        )
    return Branch(run=journal.name, state=state)


def use_branch(run: Run) -> None:
    """Write to the journal which training state the run continues from, so that `gc` keeps it. Raises `MissingArtifact`."""
    if branch := run.options.branch:
        with recording(Path(run.home)):
            run.store.manifest(branch.state.uri)
            run.journal.write("uses", step=STEP, **branch.state.pinned)


def require_same_data(run: Run, **inputs: Artifact) -> None:
    """Raise `ConfigError` if the run's branch would train on other artifacts than its trunk."""
    branch = run.options.branch
    if branch is None:
        return
    of_trunk = run.store.manifest(branch.state.uri).inputs
    for name, artifact in inputs.items():
        if artifact.content != of_trunk[name].content:
            raise ConfigError(
                f"{name.replace('_', ' ')} {artifact.content[:12]} differs: run {branch.run} used {of_trunk[name].content[:12]}; "
                "a branch needs the same sources, curation and tokenizer; use those, or train without --from"
            )


def branch_figures(run: Run) -> dict[str, JSON]:
    """Figures of a branch: the step and content digest of the training state where it starts; empty without a branch."""
    branch = run.options.branch
    if branch is None:
        return {}
    reached = value_of(run.store, branch.state, TrainingProgress)
    return {"branched_from": {"step": reached.step, "training_state": branch.state.content}}


def _newest_trained(settings: Settings) -> Journal:
    trained = (journal for journal in journals(settings) if journal.find("pretraining"))
    return next(trained, None) or journal_of(settings, "latest")


def _permanent(config: Mapping[str, Any]) -> Sequence[float]:
    """Fractions of the training at which permanent checkpoints were kept, from a config written by this version or by 0.4."""
    shares: Sequence[float] = config.get("training", {}).get("checkpoints", {}).get("permanent", ())
    return shares or config.get("permanent_checkpoints", ())


def _find(store: "ArtifactStore", base: Manifest, step: int) -> TrainingState | None:
    state = store.find(STEP, _key(base.cache_key, step))
    return state.as_(TrainingState) if state else None


def _key(base: str, step: int) -> str:
    return hashlib.sha256(f"{base}/{step}".encode()).hexdigest()


def share_of(text: str) -> float:
    """Parse a fraction of a training's steps, such as 80% or 0.8. Raises `ConfigError` for anything else."""
    number = text.removesuffix("%")
    share = float(number) / (100 if number != text else 1) if number.replace(".", "", 1).isdigit() else 0.0
    if not 0 < share <= 1:
        raise ConfigError(f"--at {text}: allowed: a fraction of the training, such as 80% or 0.8")
    return share
