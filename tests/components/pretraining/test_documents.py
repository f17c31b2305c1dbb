"""Which documents a step saw."""

import logging
from pathlib import Path

import pytest

from components.artifacts import Mixture
from components.pretraining.documents import Incidents, documents_of, read_incidents
from components.pretraining.packed import PackedBatches
from components.tokenizer.token_shards import TokenShardReader
from components.training.data_order import DataOrder
from components.training.portions import apportion, windows_of


@pytest.fixture
def batches(token_shards: Path) -> PackedBatches:
    reader = TokenShardReader.open(token_shards)
    mixture = Mixture(shares={"code": 0.6, "prose": 0.4}, epoch_limits={"code": 4.0, "prose": 4.0})
    portions = apportion(mixture, windows_of(reader.index, 16), 96)
    return PackedBatches(reader, DataOrder(portions, 3), 8, 16, 4)


def test_the_documents_are_those_whose_tokens_are_in_the_batch(batches: PackedBatches) -> None:
    rows = [row for batch in batches.micro_batches(5, 0, 1) for row in batch["tokens"].tolist()]
    sequences = list(documents_of(batches, 5))
    assert len(sequences) == len(rows) == 8
    for row, sequence in zip(rows, sequences, strict=True):
        table = batches.reader.documents("train", sequence.domain).to_pylist()
        ids = batches.reader.window("train", sequence.domain, sequence.start, 16).tolist()
        assert ids == row
        end = sequence.start + 17
        touched = [d["id"] for d in table if d["start"] < end and d["start"] + d["tokens"] > sequence.start]
        assert list(sequence.documents) == touched


def test_incidents_are_written_once_a_step_and_read_in_order(batches: PackedBatches, tmp_path: Path) -> None:
    note = Incidents(tmp_path / "below" / "incidents.jsonl", batches)
    note(6, "a spike")
    note(2, "not finite")
    note(6, "again")
    incidents = read_incidents(note.path)
    assert [(incident.step, incident.reason) for incident in incidents] == [(2, "not finite"), (6, "a spike")]
    assert incidents[1].sequences == tuple(documents_of(batches, 5))


def test_an_incident_says_where_its_documents_are_and_how_to_see_them(
    batches: PackedBatches, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    note = Incidents(tmp_path / "incidents.jsonl", batches)
    note(6, "a spike")
    assert caplog.messages == [f"step 6: its documents are listed in {note.path}; to show them: longrun batch latest 6"]


@pytest.mark.parametrize("cut", [1, 20, 62, -1])
def test_a_line_cut_short_costs_itself_alone(
    batches: PackedBatches, tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    note = Incidents(tmp_path / "incidents.jsonl", batches)
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


def test_a_full_disk_is_a_warning_and_no_end_of_the_training(batches: PackedBatches, caplog: pytest.LogCaptureFixture) -> None:
    Incidents(Path("/dev/full"), batches)(6, "a spike")
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "step 6: its documents could not be written to /dev/full (No space left on device)" in warning.getMessage()
    assert "longrun batch latest 6" in warning.getMessage()


def test_without_incidents_there_are_none(tmp_path: Path) -> None:
    assert read_incidents(tmp_path / "missing") == []
