"""A failed check stops the run with everything a person needs to look further."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.artifacts import Check, CheckReport, Expectation, Manifest
from components.errors import CheckFailed
from components.ports import LocalArtifactStore
from workflows.steps.gates import gate
from workflows.steps.journal import open_journal


def published(store: LocalArtifactStore, *expectations: Expectation) -> Check:
    report = CheckReport(name="corpus", expectations=expectations, report="corpus.html")
    manifest = Manifest(
        step="check_corpus", kind="Check", cache_key="k" * 64, config={}, code_digest="", environment_digest="", checks=(report,)
    )
    with store.writing("check_corpus") as output:
        artifact = store.publish(output, manifest)
    return artifact.as_(Check)


FAILED = Expectation(name="no duplicate ids", observed="3 duplicates", passed=False, field="checks.corpus.max_duplicate_share")


def test_a_failed_expectation_is_named_with_stage_observation_field_and_page(tmp_path: Path) -> None:
    store = LocalArtifactStore(tmp_path)
    check = published(store, FAILED)
    expected = (
        r"^stage curation: check corpus failed: no duplicate ids: observed 3 duplicates "
        r"\(set checks\.corpus\.max_duplicate_share to allow it\); new in this run; report: .*corpus\.html$"
    )
    with pytest.raises(CheckFailed, match=expected):
        gate(store, check, open_journal(tmp_path / "runs"))


def test_an_expectation_without_a_field_offers_none(tmp_path: Path) -> None:
    store = LocalArtifactStore(tmp_path)
    check = published(store, replace(FAILED, field=""))
    with pytest.raises(CheckFailed, match="observed 3 duplicates; new in this run"):
        gate(store, check, open_journal(tmp_path / "runs"))


def test_the_first_run_that_failed_by_a_check_is_named(tmp_path: Path) -> None:
    store = LocalArtifactStore(tmp_path)
    check, other = published(store, FAILED), published(store, replace(FAILED, observed="4 duplicates"))
    for name, artifact in (("20260101-000000-aaaa", other), ("20260102-000000-bbbb", check), ("20260103-000000-cccc", check)):
        open_journal(tmp_path / "runs", name).write("made", step="check_corpus", **artifact.pinned)
    with pytest.raises(CheckFailed, match="; first in run 20260102-000000-bbbb; report"):
        gate(store, check, open_journal(tmp_path / "runs", "20260104-000000-dddd"))


def test_a_check_with_only_a_warning_passes(tmp_path: Path) -> None:
    store = LocalArtifactStore(tmp_path)
    check = published(
        store,
        Expectation(name="ids", observed="fine", passed=True),
        Expectation(name="lengths", observed="odd", passed=False, critical=False),
    )
    assert gate(store, check, open_journal(tmp_path / "runs")) == check
