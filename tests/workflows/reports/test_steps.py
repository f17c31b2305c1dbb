"""What is known of a step comes from its event, and from its manifest if that still exists."""

from pathlib import Path

from components.ports import LocalArtifactStore
from tests.components.ports.store_suite import publish
from workflows.reports.steps import StepSummary, steps_in
from workflows.steps.journal import open_journal


def test_the_newest_event_of_a_step_decides_its_state(tmp_path: Path) -> None:
    journal, store = open_journal(tmp_path / "runs"), LocalArtifactStore(tmp_path)
    artifact = publish(store)
    states = []
    for kind, facts in (
        ("started", {"config": {"epochs": 2}}),
        ("failed", {"message": "no\nmemory"}),
        ("started", {"config": {"epochs": 1}}),
        ("made", {**artifact.pinned, "figures": {"loss": 1.0}, "seconds": 2.0}),
    ):
        journal.write(kind, step="sft", **facts)
        summary = StepSummary.of(journal, store, "sft")
        assert summary
        states.append((summary.state, summary.failure, summary.seconds))
    assert states == [("running", "", None), ("failed", "no memory", None), ("running", "", None), ("made", "", 2.0)]
    assert summary.artifact == artifact
    assert summary.config == store.manifest(artifact.uri).config


def test_a_step_without_a_manifest_keeps_its_figures_and_says_that_its_artifact_was_deleted(tmp_path: Path) -> None:
    journal, store = open_journal(tmp_path / "runs"), LocalArtifactStore(tmp_path)
    journal.write("cached", step="curation", uri="artifacts/curation/k/c", digest="d" * 64, figures={"warnings": ["short"]})
    summary = StepSummary.of(journal, store, "curation")
    assert summary
    assert summary.warnings[0] == "short"
    assert "artifacts/curation/k/c was deleted" in summary.warnings[1]


def test_the_steps_of_a_run_come_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "runs")
    for kind, step in (
        ("started", "curation"),
        ("made", "curation"),
        ("cached", "tokenizer"),
        ("waiting", "sft"),
        ("failed", "dpo"),
    ):
        journal.write(kind, step=step)
    assert steps_in(journal) == ["curation", "tokenizer", "dpo"]
    assert StepSummary.of(journal, LocalArtifactStore(tmp_path), "sft") is None
