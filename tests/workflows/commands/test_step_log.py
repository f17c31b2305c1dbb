"""`longrun logs RUN STEP` says what a step did, whatever became of it."""

from pathlib import Path

import pytest

from components.artifacts import Artifact, Check, CheckReport, Expectation, Making, Manifest
from components.errors import ConfigError
from components.ports import LocalArtifactStore
from components.ports.store import records_of
from components.series import SeriesWriter
from infra.settings import Settings
from workflows.commands.runs import LocalRun, WantedLog
from workflows.commands.step_log import step_json, step_lines
from workflows.steps.journal import Journal, open_journal


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return open_journal(tmp_path / "runs")


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path)


def checked(store: LocalArtifactStore, journal: Journal) -> Artifact:
    """A finished check of a corpus, with a warning among its expectations."""
    rows = (
        Expectation(name="a share is small", passed=False, critical=False, observed="0.78 of source a"),
        Expectation(name="there are rows", passed=True, critical=True, observed="12"),
    )
    with store.writing("check_corpus") as output:
        (output / "page.html").write_text("a page")
        manifest = Manifest(
            step="check_corpus",
            kind="Check",
            cache_key="k" * 64,
            config={"type": "CorpusLimits", "min_documents": 10, "own": {"max_share": 0.5}},
            code_digest="c" * 64,
            environment_digest="e" * 64,
            inputs={"artifact": Artifact(uri="artifacts/curation/k/c", digest="d" * 64, content="c" * 64)},
            files=records_of(output, Check),
            figures={"expectations": 2, "failed": 0, "notes": ["a note"]},
            checks=(CheckReport(name="corpus", expectations=rows),),
            making=Making(measurements={"seconds": 4.5}),
        )
        return store.publish(output, manifest)


def test_a_step_that_was_made_shows_inputs_configuration_figures_warnings_time_and_what_it_printed(
    store: LocalArtifactStore, journal: Journal
) -> None:
    artifact = checked(store, journal)
    journal.write("started", step="check_corpus", config={})
    journal.write("made", step="check_corpus", **artifact.pinned, figures={"failed": 0, "notes": ["a note"]}, seconds=4.5)
    journal.log("check_corpus").write_text("one\ntwo\n")
    lines = step_lines(journal, store, "check_corpus")
    assert lines[:2] == [f"step check_corpus of run {journal.name}: made in 4.5 s", f"  {artifact.uri}"]
    assert [line.split() for line in lines[2:]] == [
        ["inputs"],
        ["artifact", "artifacts/curation/k/c"],
        ["configuration"],
        ["min_documents", "10"],
        ["own.max_share", "0.5"],
        ["figures"],
        ["failed", "0"],
        ["measured", "when", "it", "was", "made"],
        ["seconds", "4.5"],
        ["notes"],
        ["a", "note"],
        ["warnings"],
        ["a", "share", "is", "small:", "0.78", "of", "source", "a"],
        [],
        ["printed"],
        ["one", "two"],
    ]
    values = step_json(journal, store, "check_corpus")
    assert (values["state"], values["log"], values["inputs"]) == ("made", "one\ntwo\n", {"artifact": "artifacts/curation/k/c"})


def test_a_reused_step_says_so_and_how_long_it_took_to_make(store: LocalArtifactStore, journal: Journal) -> None:
    artifact = checked(store, journal)
    journal.write("cached", step="check_corpus", **artifact.pinned, figures={"failed": 0})
    lines = step_lines(journal, store, "check_corpus")
    assert lines[0].endswith("cached (reused from an earlier run, which took 4.5 s to make it)")
    assert lines[-1] == "it printed nothing in this run"


def test_a_step_whose_artifact_was_deleted_still_has_its_figures(store: LocalArtifactStore, journal: Journal) -> None:
    pinned = {"uri": "artifacts/sft/k/c", "digest": "d" * 64, "content": "c" * 64}
    journal.write("started", step="sft", config={"epochs": 3})
    journal.write("made", step="sft", **pinned, figures={"loss": 2.5}, seconds=1.0)
    lines = [line.split() for line in step_lines(journal, store, "sft")]
    assert ["epochs", "3"] in lines
    assert ["loss", "2.5"] in lines
    assert any("artifacts/sft/k/c was deleted" in " ".join(line) for line in lines)


def test_a_running_training_shows_how_far_it_is_and_a_failed_one_its_error(store: LocalArtifactStore, journal: Journal) -> None:
    journal.write("started", step="sft", config={"epochs": 3})
    SeriesWriter(journal.series("sft")).append(7, {"loss": 2.5, "tokens_per_second": 1234.5})
    lines = [line.split() for line in step_lines(journal, store, "sft")]
    assert lines[0][-1] == "running"
    assert [line for line in lines if line[0] in {"step", "loss", "tokens_per_second"}][1:] == [
        ["step", "7"],
        ["loss", "2.5"],
        ["tokens_per_second", "1234.5"],
    ]
    journal.write("failed", step="sft", message="step 8: loss nan\nlower the rate")
    assert step_lines(journal, store, "sft")[1] == "  step 8: loss nan lower the rate"


def test_a_step_that_the_run_has_not_come_to_is_refused_with_those_that_it_has(tmp_path: Path, journal: Journal) -> None:
    journal.write("started", step="curation", config={})
    with pytest.raises(ConfigError, match=rf"run {journal.name}: unknown step 'sft'; allowed: curation"):
        LocalRun(journal, Settings(home=tmp_path)).log_lines(WantedLog(step="sft"))
    with pytest.raises(ConfigError, match=r"did you mean 'curation'\?"):
        LocalRun(journal, Settings(home=tmp_path)).log_json(WantedLog(step="curaton"))
