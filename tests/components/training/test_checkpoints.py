"""Training checkpoints: whole or not there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from components.errors import CheckpointError
from components.training.checkpoints import Checkpoints, differences, read_history
from components.training.engine import process_group


@pytest.fixture(autouse=True)
def _group() -> Iterator[None]:
    with process_group(torch.device("cpu"), 1):
        yield


def checkpoints(root: Path, *, world_size: int = 1, keep: int = 2, identity: str = "a") -> Checkpoints:
    return Checkpoints(root, {"model": identity}, 0, world_size, keep)


def write(directory: Path) -> None:
    (directory / "state").mkdir()
    (directory / "state" / "rank-0").write_bytes(b"weights")


def save(root: Path, *steps: int) -> None:
    for step in steps:
        checkpoints(root).save(step, [{"step": step, "loss": 0.1}], write)


def test_a_saved_checkpoint_is_found_with_its_step_and_history(tmp_path: Path) -> None:
    save(tmp_path, 5)
    found = checkpoints(tmp_path).newest()
    assert (found.step, found.damaged) == (5, ())
    assert found.directory is not None
    assert read_history(found.directory) == [{"step": 5, "loss": 0.1}]
    assert (tmp_path / "latest").resolve() == found.directory.resolve()


def test_training_begins_afresh_where_there_is_nothing(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "missing").newest().step == 0


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 5, 10, 15)
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-00000010", "step-00000015"]


def test_what_was_being_written_when_the_process_died_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 5)

    def dies(directory: Path) -> None:
        write(directory)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoints(tmp_path).save(10, [], dies)
    assert checkpoints(tmp_path).newest().step == 5
    save(tmp_path, 10)
    assert checkpoints(tmp_path).newest().step == 10


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("state/rank-0", b"weight", "state/rank-0 was changed"),
        ("state/rank-0", None, "state/rank-0 is missing"),
        ("history.jsonl", b"", "history.jsonl was changed"),
        ("manifest.json", b"{", "manifest.json cannot be read"),
        ("manifest.json", None, "manifest.json cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_named_skipped_and_removed(tmp_path: Path, name: str, content: bytes | None, wrong: str) -> None:
    save(tmp_path, 5, 10)
    damaged = tmp_path / "step-00000010" / name
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    assert wrong in differences(tmp_path / "step-00000010")[0]
    found = checkpoints(tmp_path).newest()
    assert found.step == 5
    assert found.damaged[0].startswith("step-00000010: ")
    assert not (tmp_path / "step-00000010").exists()


def test_a_checkpoint_of_another_identity_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 5)
    with pytest.raises(CheckpointError, match="of another model"):
        checkpoints(tmp_path, identity="b").newest()


def test_a_checkpoint_of_another_number_of_workers_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 5)
    with pytest.raises(CheckpointError, match="saved by 1 workers; go on with as many, not 2"):
        checkpoints(tmp_path, world_size=2).newest()


def test_the_manifest_lists_every_file_but_itself(tmp_path: Path) -> None:
    save(tmp_path, 5)
    manifest = json.loads((tmp_path / "latest" / "manifest.json").read_text())
    assert set(manifest["files"]) == {"history.jsonl", "state/rank-0"}
