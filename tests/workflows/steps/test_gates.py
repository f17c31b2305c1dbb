"""A failed check stops the run with everything a person needs to look further."""

from pathlib import Path

import pytest

from components.artifacts import Check, CheckReport, Expectation, Manifest
from components.errors import CheckFailed
from components.ports import LocalArtifactStore
from workflows.steps.gates import gate


def published(store: LocalArtifactStore, *expectations: Expectation) -> Check:
    report = CheckReport(name="corpus", expectations=expectations, report="corpus.html")
    manifest = Manifest(
        step="check_corpus", kind="Check", cache_key="k" * 64, config={}, code_digest="", environment_digest="", checks=(report,)
    )
    with store.writing("check_corpus") as output:
        artifact = store.publish(output, manifest)
    return artifact.as_(Check)


def test_a_failed_critical_expectation_is_named_with_what_was_observed_and_the_page(tmp_path: Path) -> None:
    store = LocalArtifactStore(tmp_path)
    check = published(store, Expectation(name="no duplicate ids", observed="3 duplicates", passed=False))
    expected = r"check corpus failed: no duplicate ids: observed 3 duplicates; report: .*corpus\.html"
    with pytest.raises(CheckFailed, match=expected):
        gate(store, check)


def test_a_check_with_only_a_warning_passes(tmp_path: Path) -> None:
    store = LocalArtifactStore(tmp_path)
    check = published(
        store,
        Expectation(name="ids", observed="fine", passed=True),
        Expectation(name="lengths", observed="odd", passed=False, critical=False),
    )
    assert gate(store, check) == check
