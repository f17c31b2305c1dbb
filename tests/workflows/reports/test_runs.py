"""What became of a run is read from its journal alone."""

import os
from pathlib import Path
from typing import Any

import pytest

from workflows.reports.runs import RunSummary, duration
from workflows.steps.journal import Journal, open_journal
from workflows.steps.lock import running

TRAINED = {"step": "pretraining", "figures": {"steps": 10, "loss": 2.5, "bits_per_byte": 2.25}}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = open_journal(tmp_path)
    journal.write("run", recipe="tiny")
    return journal


@pytest.mark.parametrize(
    ("steps", "figure"),
    [
        ([], ""),
        ([{"step": "curation", "figures": {"splits": "longrun", "documents": 12}}], "documents 12"),
        ([TRAINED, {"step": "sft", "figures": {"loss": 1.5}}], "bits per byte 2.25"),
        ([TRAINED, {"step": "registration", "figures": {"bits_per_byte": 2.4917}}], "bits per byte 2.492"),
        ([{"step": "pretraining", "figures": {"steps": 10, "loss": 2.5}}], "loss 2.5"),
        ([{"step": "check_corpus", "figures": {"expectations": 3}}], ""),
    ],
)
def test_the_main_figure_is_that_of_the_model_or_else_the_first_number(
    journal: Journal, steps: list[dict[str, Any]], figure: str
) -> None:
    for step in steps:
        journal.write("made", **step)
    assert RunSummary.of(journal).figure == figure


def test_the_result_is_the_registered_version_or_else_the_last_step_that_is_no_check(journal: Journal) -> None:
    journal.write("made", **TRAINED)
    journal.write("made", step="check_pretraining", figures={})
    assert RunSummary.of(journal).result == "pretraining"
    journal.write("registered", model="tiny/2", new=True)
    assert RunSummary.of(journal).result == "tiny/2"


def test_a_run_that_was_interrupted_is_neither_failed_nor_finished(journal: Journal) -> None:
    journal.write("finished", failed=True, interrupted=True, message="interrupted in pretraining at step 92")
    run = RunSummary.of(journal)
    assert (run.state, run.failure) == ("interrupted", "interrupted in pretraining at step 92")


def test_a_run_whose_process_is_alive_is_running_and_then_unfinished(journal: Journal) -> None:
    with running(journal, journal.directory.parents[1]):
        assert RunSummary.of(journal).state == "running"
    assert RunSummary.of(journal).state == "unfinished"


def test_an_unfinished_run_lasts_until_its_newest_training_step(journal: Journal) -> None:
    started = journal.events()[0]["time"]
    journal.series("sft").parent.mkdir()
    journal.series("sft").touch()
    os.utime(journal.series("sft"), (started + 500, started + 500))
    assert RunSummary.of(journal).seconds == pytest.approx(500, abs=0.01)
    journal.write("finished", failed=False)
    assert RunSummary.of(journal).seconds < 400


def test_a_run_lasts_from_its_first_to_its_last_event_and_without_events_nothing_is_known(
    journal: Journal, tmp_path: Path
) -> None:
    events = journal.events()
    journal.write("finished", failed=False)
    run = RunSummary.of(journal)
    assert (run.started, run.seconds) == (events[0]["time"], journal.events()[-1]["time"] - events[0]["time"])
    empty = RunSummary.of(Journal(tmp_path / "empty"))
    assert (empty.recipe, empty.state, empty.seconds, empty.result) == ("?", "unfinished", 0.0, "")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.9, "60 s"), (60, "1 min 00 s"), (7500, "2 h 05 min"), (90_000, "1 d 01 h")]
)
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
