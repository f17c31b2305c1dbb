"""What is known of one step of a run: its state, inputs, configuration, figures, warnings and time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from components.artifacts import Artifact, CheckReport, Manifest
from components.errors import ArtifactError, single_line
from components.files import JSON
from components.ports import ArtifactStore
from workflows.steps.journal import DONE, Event, Journal

_KINDS = (*DONE, "failed", "started")


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSummary:
    """One step of a run."""

    step: str
    state: str
    """`made`, `cached` (reused from an earlier run), `failed` or `running`."""
    artifact: Artifact | None = None
    """Its artifact; None if it is running or has failed."""
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    config: Mapping[str, JSON] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[CheckReport, ...] = ()
    warnings: tuple[str, ...] = ()
    """Warnings of the step, and expectations that are not met and do not stop the run."""
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    """Seconds that it took in this run; None for a cached, running or failed step."""
    measurements: Mapping[str, float] = field(default_factory=dict)
    """Measurements of the run that made it: seconds, memory, tokens/s."""
    failure: str = ""
    """Why it failed, in one line."""

    @classmethod
    def of(cls, journal: Journal, store: ArtifactStore, step: str) -> Self | None:
        """The summary of a step of a run; None if the run has not come to that step.

        Raises `StoreError` if the store cannot be reached.
        """
        event = journal.find(step, _KINDS)
        return None if event is None else cls._from(event, journal, store)

    @classmethod
    def _from(cls, event: Event, journal: Journal, store: ArtifactStore) -> Self:
        step, kind = event["step"], event["event"]
        started = journal.find(step, ("started",)) or {}
        if kind not in DONE:
            failure = single_line(event.get("message", ""))
            state = "running" if kind == "started" else kind
            return cls(step=step, state=state, config=started.get("config", {}), failure=failure)
        artifact = Artifact(uri=event["uri"], digest=event["digest"], content=event.get("content", ""))
        figures, manifest = event.get("figures", {}), _manifest(store, artifact)
        if manifest is None:
            gone = f"its artifact {artifact.uri} was deleted, so inputs and checks are not known"
            known = {"config": started.get("config", {}), "warnings": (*figures.get("warnings", ()), gone)}
        else:
            known = {
                "inputs": manifest.inputs,
                "config": manifest.config,
                "checks": manifest.checks,
                "warnings": (*figures.get("warnings", ()), *_unmet(manifest)),
                "measurements": manifest.making.measurements,
            }
        told = {"figures": figures, "notes": tuple(figures.get("notes", ())), "seconds": event.get("seconds")}
        return cls(step=step, state=kind, artifact=artifact, **told, **known)


def _manifest(store: ArtifactStore, artifact: Artifact) -> Manifest | None:
    try:
        return store.manifest(artifact.uri)
    except ArtifactError:
        return None


def _unmet(manifest: Manifest) -> Iterator[str]:
    for check in manifest.checks:
        yield from (f"{row.name}: {row.observed}" for row in check.expectations if not row.passed and not row.critical)


def steps_in(journal: Journal) -> list[str]:
    """The steps that the run has come to, in the order in which they began."""
    return list(dict.fromkeys(event["step"] for event in journal.events() if event["event"] in _KINDS and "step" in event))
