"""Events survive a kill, logs catch what file descriptors print."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.artifacts import Artifact
from components.errors import ConfigError
from workflows.steps import journal


def test_events_are_read_back_without_a_line_cut_short(tmp_path: Path) -> None:
    record = journal.open_journal(tmp_path)
    record.write("started", step="curation")
    with (record.directory / "events.jsonl").open("a") as stream:
        stream.write('{"event": "ma')
    assert [(event["event"], event["step"]) for event in record.events()] == [("started", "curation")]


def test_a_run_is_found_by_its_start_or_as_the_latest(tmp_path: Path) -> None:
    for name in ("20260101-000000-aaaa", "20260102-000000-bbbb"):
        (tmp_path / name).mkdir()
    assert journal.find_journal(tmp_path, "latest").name == "20260102-000000-bbbb"
    assert journal.find_journal(tmp_path, "20260101").name == "20260101-000000-aaaa"


@pytest.mark.parametrize("run", ["2026", "nothing"])
def test_an_ambiguous_or_unknown_run_is_refused_with_the_known_ones(tmp_path: Path, run: str) -> None:
    for name in ("20260101-000000-aaaa", "20260102-000000-bbbb"):
        (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="20260102-000000-bbbb"):
        journal.find_journal(tmp_path, run)


def test_what_this_process_and_its_children_print_goes_to_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with journal.output_to(tmp_path / "step.log"):
        os.write(1, b"from here\n")
        subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write('from a child')"], check=True)
    os.write(1, b"outside\n")
    assert (tmp_path / "step.log").read_text() == "from here\nfrom a child"
    assert capfd.readouterr().out == "outside\n"


def test_listeners_hear_events_and_progress_while_they_listen(tmp_path: Path) -> None:
    heard: list[str] = []
    record = journal.open_journal(tmp_path)
    with journal.listening(lambda event: heard.append(event["event"])):
        record.write("started", step="curation")
        journal.progress("curation", 1, 2, "documents")
    record.write("made", step="curation")
    assert heard == ["started", "progress"]


def test_the_last_event_of_a_step_decides_and_what_is_not_there_yet_is_refused(tmp_path: Path) -> None:
    record = journal.open_journal(tmp_path)
    for kind, digest in (("started", ""), ("made", "a"), ("cached", "b")):
        record.write(kind, step="curation", uri="u", digest=digest)
    assert record.artifact("curation") == Artifact(uri="u", digest="b")
    assert record.last("curation", ("made",))["digest"] == "a"
    assert record.find("tokenizer") is None
    with pytest.raises(ConfigError, match=f"run {record.name} has not finished step tokenizer; see: longrun logs {record.name}"):
        record.last("tokenizer")


def test_everything_that_a_run_needs_is_what_it_made_reused_and_kept(tmp_path: Path) -> None:
    record = journal.open_journal(tmp_path)
    for number, kind in enumerate(("made", "cached", "kept", "started", "registered")):
        record.write(kind, step="step", uri=str(number), digest="")
    assert [artifact.uri for artifact in record.artifacts()] == ["0", "1", "2"]
