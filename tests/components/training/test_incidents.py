"""Incidents of a training survive kills and full disks, each with the documents of its batch."""

import logging
from pathlib import Path

import pytest

from components.training.incidents import Incidents, SeenSequence, read_incidents, write_incidents


def sequences(step: int) -> list[SeenSequence]:
    """The batch of a step: two sequences."""
    return [SeenSequence("code", 16 * step, ("a", "b")), SeenSequence("prose", 32 * step, ("c",))]


def command(step: int) -> str:
    """The command that shows the documents of a step."""
    return f"longrun batch latest {step}"


def test_incidents_are_written_once_a_step_and_read_in_order(tmp_path: Path) -> None:
    note = Incidents(tmp_path / "below" / "incidents.jsonl", sequences, command)
    note(6, "a spike")
    note(2, "not finite")
    note(6, "again")
    incidents = read_incidents(note.path)
    assert [(incident.step, incident.reason) for incident in incidents] == [(2, "not finite"), (6, "a spike")]
    assert incidents[1].sequences == tuple(sequences(5))


def test_an_incident_says_where_its_documents_are_and_how_to_see_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    note = Incidents(tmp_path / "incidents.jsonl", sequences, command)
    note(6, "a spike")
    assert caplog.messages == [f"step 6: its documents are listed in {note.path}; to show them: longrun batch latest 6"]


@pytest.mark.parametrize("cut", [1, 20, 62, -1])
def test_a_line_cut_short_costs_itself_alone(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    note = Incidents(tmp_path / "incidents.jsonl", sequences, command)
    note(2, "not finite")
    whole = note.path.read_bytes()
    note(6, "ein Ausreißer" * 9)
    note.path.write_bytes(whole + note.path.read_bytes()[len(whole) :][:cut])
    note(7, "a spike")
    caplog.clear()
    assert [incident.step for incident in read_incidents(note.path)] == [2, 7]
    assert bool(caplog.messages) == (cut != 1)
    note(6, "again")
    assert [incident.step for incident in read_incidents(note.path)] == [2, 6, 7]


def test_a_full_disk_is_a_warning_and_no_end_of_the_training(caplog: pytest.LogCaptureFixture) -> None:
    Incidents(Path("/dev/full"), sequences, command)(6, "a spike")
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "step 6: its documents could not be written to /dev/full (No space left on device)" in warning.getMessage()
    assert "longrun batch latest 6" in warning.getMessage()


def test_without_incidents_there_is_no_file(tmp_path: Path) -> None:
    assert read_incidents(tmp_path / "missing") == []
    write_incidents([], tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()


def test_incidents_are_copied_without_what_was_truncated(tmp_path: Path) -> None:
    note = Incidents(tmp_path / "incidents.jsonl", sequences, command)
    note(6, "a spike")
    with note.path.open("ab") as stream:
        stream.write(b"\n{")
    write_incidents(read_incidents(note.path), tmp_path / "metrics" / "copy.jsonl")
    assert [incident.step for incident in read_incidents(tmp_path / "metrics" / "copy.jsonl")] == [6]
