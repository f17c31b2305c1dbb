"""The runs of a home, read from their journals alone."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from infra.settings import Settings
from workflows.commands.runs import LocalRun, WantedLog, event_lines, home_option, list_runs, run_lines
from workflows.reports.runs import RunSummary
from workflows.steps.journal import Event, Journal, open_journal


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A run of one made and one cached step."""
    journal = open_journal(tmp_path / "runs")
    journal.write("run", recipe="tiny")
    journal.write("made", step="curation", digest="0123456789abcdef", seconds=1.25)
    journal.write("cached", step="tokenizer", digest="fedcba9876543210")
    return journal


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "unfinished"),
        ([("finished", {"failed": False})], "finished"),
        ([("finished", {"failed": True})], "failed"),
        ([("submitted", {})], "submitted"),
        ([("refused", {})], "refused"),
    ],
)
def test_a_run_is_a_row_with_its_state_and_what_it_made(journal: Journal, events: list[tuple[str, Any]], state: str) -> None:
    for event, facts in events:
        journal.write(event, **facts)
    run = RunSummary.of(journal)
    assert (run.run, run.recipe, run.state, run.made, run.cached) == (journal.name, "tiny", state, 1, 1)


def test_runs_come_in_the_order_of_their_start_and_a_folder_without_events_is_none(tmp_path: Path, journal: Journal) -> None:
    Journal(tmp_path / "runs" / "19990101-000000-0000").write("run", recipe="old")
    (tmp_path / "runs" / "20000101-000000-0000").mkdir()
    assert [run.recipe for run in list_runs(Settings(home=tmp_path))] == ["old", "tiny"]
    assert list_runs(Settings(home=tmp_path / "nowhere")) == []


def test_an_event_is_a_line_with_short_digests_and_seconds(journal: Journal) -> None:
    assert [line.split()[1:] for line in event_lines(journal.events())] == [
        ["run", "tiny"],
        ["made", "curation", "0123456789ab", "1.2", "s"],
        ["cached", "tokenizer", "fedcba987654"],
    ]


def test_the_status_of_a_run_of_this_machine_ends_with_its_last_events(journal: Journal) -> None:
    for number in range(5):
        journal.write("started", step=f"step-{number}")
    status = LocalRun(journal, Settings(home=journal.directory.parent.parent)).status()
    assert status.lines[0] == f"run {journal.name}, on this machine: unfinished, 1 steps made, 1 cached"
    assert [line.split()[-1] for line in status.lines[1:]] == [f"step-{number}" for number in range(5)]
    assert status.as_json == asdict(RunSummary.of(journal))


def test_a_list_of_runs_says_how_long_they_took_what_came_out_why_they_failed_and_what_was_set(tmp_path: Path) -> None:
    def events(name: str, *rows: Event) -> None:
        journal = Journal(tmp_path / "runs" / name)
        journal.directory.mkdir(parents=True)
        journal.path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    opened = {"event": "run", "time": 1000.0, "recipe": "tiny"}
    trained = {"step": "pretraining", "figures": {"steps": 10, "loss": 2.5, "bits_per_byte": 2.25}}
    events(
        "20260101-000000-aaaa",
        opened,
        {"event": "made", "time": 1050.0, **trained},
        {"event": "registered", "time": 1060.0, "model": "tiny/3", "new": True},
        {"event": "finished", "time": 1000.0 + 2 * 3600 + 300, "failed": False},
    )
    events(
        "20260102-000000-bbbb",
        {**opened, "changes": ["sft.epochs=3"], "until": "sft", "fresh": ["tokenizer"]},
        {"event": "cached", "time": 1000.0, "step": "curation", "figures": {"documents": 12}},
        {"event": "made", "time": 1000.5, "step": "check_corpus", "figures": {"failed": 0}},
        {"event": "finished", "time": 1005.0, "failed": True, "message": "no text\nin source a"},
    )
    assert [" ".join(line.split()) for line in run_lines(list_runs(Settings(home=tmp_path)))] == [
        "20260101-000000-aaaa tiny finished 2 h 05 min 1 made, 0 cached tiny/3 bits per byte 2.25",
        "20260102-000000-bbbb tiny failed 5 s 1 made, 1 cached curation documents 12",
        "failed: no text in source a",
        "set: sft.epochs=3 --until sft --fresh tokenizer",
    ]


def test_without_a_step_the_log_of_a_run_is_its_events(journal: Journal) -> None:
    run = LocalRun(journal, Settings(home=journal.directory.parent.parent))
    assert (run.log_lines(WantedLog()), run.log_json(WantedLog())) == (event_lines(journal.events()), journal.events())


def test_a_run_of_this_machine_is_stopped_where_it_runs(journal: Journal) -> None:
    with pytest.raises(ConfigError, match=rf"run {journal.name} is on this machine, and cancel is for runs on a cluster"):
        LocalRun(journal, Settings(home=journal.directory.parent.parent)).cancel()


def test_a_command_names_the_home_unless_it_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert home_option(Settings(home=tmp_path / ".longrun")) == ""
    assert home_option(Settings(home=tmp_path / "other")) == f" --home {tmp_path / 'other'}"
