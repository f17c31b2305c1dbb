"""Stops a run at a failed check, before the next stage."""

from typing import TYPE_CHECKING

from components.artifacts import Check
from components.errors import CheckFailed

if TYPE_CHECKING:
    from components.ports import ArtifactStore


def gate(store: "ArtifactStore", check: Check) -> Check:
    """Return `check` if it passed.

    Raises:
        CheckFailed: the message names each failed expectation, the observed value, and the report.
    """
    for report in store.manifest(check.uri).checks:
        if not report.passed:
            failures = "; ".join(f"{failure.name}: observed {failure.observed}" for failure in report.failures)
            raise CheckFailed(f"check {report.name} failed: {failures}; report: {store.local(check) / report.report}")
    return check
