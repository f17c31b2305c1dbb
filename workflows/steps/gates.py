"""Stops a run at a failed check, before the next stage."""

from typing import TYPE_CHECKING

from components.artifacts import Check, Expectation
from components.errors import CheckFailed
from workflows.steps.journal import DONE, Journal
from workflows.steps.stages import stage_of

if TYPE_CHECKING:
    from components.ports import ArtifactStore


def gate(store: "ArtifactStore", check: Check, journal: Journal) -> Check:
    """Return `check` if it passed; `journal` is that of the run.

    Raises:
        CheckFailed: the message names the stage, each failed expectation, the observed value, the field of the recipe that sets
            the limit, the run that failed first by this check, and the report.
    """
    manifest = store.manifest(check.uri)
    for report in manifest.checks:
        if not report.passed:
            failures = "; ".join(map(_words, report.failures))
            since = f"first in run {first}" if (first := first_run_with(check, journal)) else "new in this run"
            raise CheckFailed(
                f"stage {stage_of(manifest.step)}: check {report.name} failed: {failures}; {since}; "
                f"report: {store.local(check) / report.report}"
            )
    return check


def _words(failure: Expectation) -> str:
    remedy = f" (set {failure.field} to allow it)" if failure.field else ""
    return f"{failure.name}: observed {failure.observed}{remedy}"


def first_run_with(check: Check, journal: Journal) -> str:
    """The id of the first run of the home, before that of `journal`, that made or reused this check; empty if there is none."""
    earlier = sorted(path for path in journal.directory.parent.iterdir() if path.name < journal.name)
    runs = (Journal(path) for path in earlier)
    return next((run.name for run in runs if any(_is_of(event, check) for event in run.events())), "")


def _is_of(event: dict[str, object], check: Check) -> bool:
    return event["event"] in DONE and event.get("digest") == check.digest
