"""Checkpoints on disk: published whole or not at all, refused with what is wrong, and written by one attempt at a time."""

import itertools
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from components import files as small_files
from components.errors import CheckpointError, SupersededAttempt
from components.training.checkpoints import files as checkpoint_files
from components.training.checkpoints.direct_files import checksum_of
from components.training.checkpoints.files import (
    FORMAT,
    HISTORY,
    OTHER_TRAINING,
    Attempt,
    adopt,
    differences,
    publish,
    published,
    read_history,
    read_manifest,
    resume_from,
    state_file,
    step_of,
    trunk_differences,
    unequal_values,
    write_manifest,
)

IDENTITY = {"steps": 20, "plan": {"batch_size": 8}}


def stage(attempt: Attempt, step: int, workers: int = 1) -> dict[str, Any]:
    """The files of a checkpoint in its staging directory, and its manifest."""
    staging = attempt.staging(step)
    staging.mkdir()
    (staging / HISTORY).write_text(json.dumps({"step": step}) + "\n")
    for rank in range(workers):
        state_file(staging, rank).write_text(f"state of rank {rank} after {step}")
    checksums = {path.name: checksum_of(path) for path in sorted(staging.iterdir())}
    return {"format": FORMAT, "step": step, "identity": IDENTITY, "files": checksums}


def save(root: Path, *steps: int, keep: int = 2, workers: int = 1) -> Attempt:
    attempt = Attempt.claim(root)
    for step in steps:
        publish(attempt, attempt.staging(step), stage(attempt, step, workers), keep=keep, permanent=())
    return attempt


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*-*"))


def test_a_published_checkpoint_is_whole_and_the_newest_is_the_latest(tmp_path: Path) -> None:
    save(tmp_path, 5, 10)
    assert [step_of(path) for path in published(tmp_path)] == [10, 5]
    assert (tmp_path / "latest").resolve() == tmp_path / "step-00000010"
    assert read_history(tmp_path / "latest") == [{"step": 10}]
    assert differences(tmp_path / "latest", IDENTITY) == []


def test_a_step_is_published_once(tmp_path: Path) -> None:
    attempt = save(tmp_path, 5)
    manifest = stage(attempt, 5)
    with pytest.raises(FileExistsError, match="step-00000005 exists"):
        publish(attempt, attempt.staging(5), manifest, keep=2, permanent=())


def test_an_attempt_that_another_has_superseded_publishes_and_adopts_nothing(tmp_path: Path) -> None:
    older = save(tmp_path, 5)
    Attempt.claim(tmp_path)
    manifest = stage(older, 10)
    with pytest.raises(SupersededAttempt, match="attempt 2 has taken over; attempt 1 stops"):
        publish(older, older.staging(10), manifest, keep=2, permanent=())
    write_manifest(older.staging(10), manifest)
    with pytest.raises(SupersededAttempt):
        adopt(older, older.staging(10), 10)
    assert [step_of(path) for path in published(tmp_path)] == [5]


def test_every_attempt_knows_when_the_first_one_started(tmp_path: Path) -> None:
    before = time.time()
    first, second = Attempt.claim(tmp_path), Attempt.claim(tmp_path)
    assert (first.number, second.number) == (1, 2)
    assert before <= first.started <= time.time()
    assert second.started == first.started


def test_an_adopted_checkpoint_takes_the_name_of_a_damaged_one(tmp_path: Path) -> None:
    attempt = save(tmp_path, 5, 10)
    state_file(tmp_path / "step-00000005", 0).unlink()
    write_manifest(attempt.staging(5), stage(attempt, 5))
    adopt(attempt, attempt.staging(5), 5)
    assert names(tmp_path) == ["damaged-step-00000005", "step-00000005", "step-00000010"]
    assert differences(tmp_path / "step-00000005", IDENTITY) == []
    assert (tmp_path / "latest").resolve().name == "step-00000010"


def test_refused_checkpoints_are_set_aside_by_what_is_wrong_with_them(tmp_path: Path) -> None:
    attempt = save(tmp_path, 5, 10, 15, keep=3)
    ten, fifteen = tmp_path / "step-00000010", tmp_path / "step-00000015"
    resume_from(attempt, tmp_path / "step-00000005", {ten: f"{OTHER_TRAINING}: model is 'b', not 'a'", fifteen: "was changed"})
    assert names(tmp_path) == ["damaged-step-00000015", "refused-step-00000010", "step-00000005"]
    assert (tmp_path / "latest").resolve().name == "step-00000005"


def test_the_workers_together_hash_every_file(tmp_path: Path) -> None:
    save(tmp_path, 5, workers=3)
    directory = tmp_path / "step-00000005"
    for path in (directory / HISTORY, *(state_file(directory, rank) for rank in range(3))):
        path.write_text("changed")
    wrong = [differences(directory, IDENTITY, rank=rank, world_size=3) for rank in range(3)]
    assert sorted(message for messages in wrong for message in messages) == [
        "history.jsonl was changed",
        *(f"rank-0000{rank}.safetensors was changed" for rank in range(3)),
    ]
    assert all(len(messages) < 3 for messages in wrong)


def test_a_branch_may_differ_from_its_trunk_in_its_length_alone(tmp_path: Path) -> None:
    save(tmp_path, 5)
    trunk = tmp_path / "step-00000005"
    assert trunk_differences(trunk, IDENTITY | {"steps": 40}) == []
    assert trunk_differences(trunk, IDENTITY | {"plan": {"batch_size": 4}}) == ["plan.batch_size is 8, not 4"]
    state_file(trunk, 0).unlink()
    assert trunk_differences(trunk, IDENTITY) == ["rank-00000.safetensors is missing"]
    (trunk / "manifest.json").unlink()
    assert trunk_differences(trunk, IDENTITY)[0].startswith("manifest.json cannot be read")


def test_values_that_differ_are_named_by_their_dotted_names() -> None:
    saved = {"same": 1, "gone": 2, "nested": {"deep": {"x": 1}, "same": 0}}
    expected = {"same": 1, "nested": {"deep": {"x": 2}, "same": 0}, "new": 3}
    assert unequal_values(saved, expected) == ["gone is 2, not None", "nested.deep.x is 1, not 2", "new is None, not 3"]


def test_an_older_format_is_refused_by_its_number(tmp_path: Path) -> None:
    save(tmp_path, 5)
    manifest = tmp_path / "step-00000005" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 1}))
    assert differences(tmp_path / "step-00000005", IDENTITY) == ["manifest.json cannot be read (format 1, expected 4)"]


def test_a_manifest_whose_keys_are_numbers_holds_its_own_checksum(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"format": FORMAT, "identity": {10: "a", 9: "b"}})
    assert read_manifest(tmp_path)["identity"] == {"9": "b", "10": "a"}


def test_every_bit_of_a_manifest_counts(tmp_path: Path) -> None:
    save(tmp_path, 5)
    directory = tmp_path / "step-00000005"
    manifest, whole = directory / "manifest.json", (directory / "manifest.json").read_bytes()
    unseen = []
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        manifest.write_bytes(content)
        if not differences(directory, IDENTITY) and json.loads(content) != json.loads(whole):
            unseen.append(bit)
    assert unseen == []


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="checkpoints cannot be written there"):
        Attempt.claim(tmp_path / "file" / "below")


def kill_at_line(number: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that is killed at that line of the modules that publish, counted as they run; whether it was."""
    pid = os.fork()
    if pid == 0:
        lines = itertools.count(1)

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code.co_filename not in (checkpoint_files.__file__, small_files.__file__):
                return None
            if event == "line" and next(lines) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_kill_at_any_line_of_publishing_leaves_whole_checkpoints_and_the_way_to_the_newest(tmp_path: Path) -> None:
    save(tmp_path / "made", 5, 10, 15, keep=3)
    shutil.move(tmp_path / "made" / "step-00000015", tmp_path / "next")
    manifest = read_manifest(tmp_path / "next")
    (tmp_path / "next" / "manifest.json").unlink()
    newest_after = []
    for number in itertools.count(1):
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "made", root, symlinks=True)
        attempt = Attempt.claim(root)
        resume_from(attempt, root / "step-00000010", {})
        shutil.copytree(tmp_path / "next", attempt.staging(15))
        killed = kill_at_line(number, partial(publish, attempt, attempt.staging(15), manifest, keep=1, permanent=()))
        newest, *older = published(root)
        assert not any(differences(directory, IDENTITY) for directory in (newest, *older)), number
        assert (root / "latest").resolve() in (newest, *older[:1]), number
        newest_after.append(newest.name)
        Attempt.claim(root)
        assert not any(root.glob("writing-*"))
        if not killed:
            break
    assert set(newest_after) == {"step-00000010", "step-00000015"}
    assert names(root) == ["step-00000015"]
