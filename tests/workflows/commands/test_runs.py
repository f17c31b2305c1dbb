"""The runs of a home, told from their journals alone."""

from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from infra.settings import Settings
from workflows.commands.runs import LocalRun, WantedLog, event_lines, home_option, list_runs, run_row
from workflows.steps.journal import Journal, open_journal


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
    assert run_row(journal) == {"run": journal.name, "recipe": "tiny", "state": state, "made": 1, "cached": 1}


def test_runs_come_in_the_order_of_their_start_and_a_folder_without_events_is_none(tmp_path: Path, journal: Journal) -> None:
    Journal(tmp_path / "runs" / "19990101-000000-0000").write("run", recipe="old")
    (tmp_path / "runs" / "20000101-000000-0000").mkdir()
    assert [row["recipe"] for row in list_runs(Settings(home=tmp_path))] == ["old", "tiny"]
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
    status = LocalRun(journal).status()
    assert status.lines[0] == f"run {journal.name}, on this machine: unfinished, 1 steps made, 1 cached"
    assert [line.split()[-1] for line in status.lines[1:]] == [f"step-{number}" for number in range(5)]
    assert status.as_json == run_row(journal)


def test_the_log_of_a_step_is_what_it_printed_and_without_a_step_the_events_are_shown(journal: Journal) -> None:
    journal.log("curation").write_text("one\ntwo")
    run = LocalRun(journal)
    assert (run.log_lines(WantedLog(step="curation")), run.log_json(WantedLog(step="curation"))) == (["one\ntwo"], "one\ntwo")
    assert (run.log_lines(WantedLog()), run.log_json(WantedLog())) == (event_lines(journal.events()), journal.events())
    with pytest.raises(ConfigError, match="has no log of step 'sft'; allowed: curation"):
        run.log_lines(WantedLog(step="sft"))


def test_a_run_of_this_machine_is_stopped_where_it_runs(journal: Journal) -> None:
    with pytest.raises(ConfigError, match=rf"run {journal.name} is on this machine, and cancel is for runs on a cluster"):
        LocalRun(journal).cancel()


def test_a_command_names_the_home_unless_it_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert home_option(Settings(home=tmp_path / ".longrun")) == ""
    assert home_option(Settings(home=tmp_path / "other")) == f" --home {tmp_path / 'other'}"
