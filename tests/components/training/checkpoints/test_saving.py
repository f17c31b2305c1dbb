"""Checkpoints: whole or not there, written beside the training, by one attempt at a time."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from filelock import FileLock

from components.errors import CheckpointError, SupersededAttempt
from components.ports import SilentMetrics, TrainingReporter
from components.training.checkpoints import direct_files
from components.training.checkpoints import files as checkpoint_files
from components.training.checkpoints import saving as checkpoints_module
from components.training.checkpoints.files import OTHER_TRAINING, Attempt, differences, read_history, state_files
from components.training.checkpoints.saving import NICENESS, CheckpointPlan, Checkpoints, ResumePoint
from components.training.checkpoints.state import KINDS, Fragment, SavedState, State
from components.training.engine import process_group
from tests.paths import ROOT
from tests.spawning import SpawningLauncher

SIZES = {"head.weight": 6}
IDENTITY = {"model": "a"}


@pytest.fixture(autouse=True)
def _group() -> Iterator[None]:
    with process_group(torch.device("cpu"), 1):
        yield


def checkpoints(root: Path, *, keep: int = 2, model: str = "a", branch_from: Path | None = None, **options: Any) -> Checkpoints:
    plan = CheckpointPlan(root=root, identity={"model": model}, branch_from=branch_from)
    return Checkpoints(plan, rank=0, world_size=1, keep=keep, **{"sizes": SIZES, **options})


def checkpoints_of_rank(root: Path, rank: int) -> Checkpoints:
    """The checkpoints of a training of two workers, on one of them."""
    return Checkpoints(CheckpointPlan(root=root, identity=IDENTITY), rank=rank, world_size=2, keep=2, sizes=SIZES)


def state(value: float = 1.0) -> State:
    fragment = Fragment("head.weight", 0, {kind: torch.full((6,), value) for kind in KINDS})
    return State([fragment], 3, {"cpu": torch.get_rng_state()})


def save(root: Path, *steps: int, **options: Any) -> Checkpoints:
    store = checkpoints(root, **options)
    for step in steps:
        store.save(step, [json.dumps({"step": step, "loss": 0.1})], state(float(step)), goodput={})
    store.finish()
    store.close()
    return store


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*-*"))


def test_a_saved_checkpoint_is_found_with_its_step_history_and_state(tmp_path: Path) -> None:
    save(tmp_path, 5)
    newest = checkpoints(tmp_path).newest()
    assert (newest.step, newest.damaged) == (5, ())
    assert newest.directory is not None
    assert read_history(newest.directory) == [{"step": 5, "loss": 0.1}]
    saved = SavedState(state_files(newest.directory))
    assert saved.read("second_moment", "head.weight", 2, 3).tolist() == [5.0] * 3
    assert saved.updates == 3
    assert torch.equal(saved.random(0)["cpu"], torch.get_rng_state())
    assert (tmp_path / "latest").resolve() == newest.directory.resolve()


def test_training_starts_afresh_where_there_is_nothing(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "missing").newest().step == 0


def test_only_the_newest_and_the_permanent_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 5, 10, 15, 20, permanent={5})
    assert names(tmp_path) == ["step-00000005", "step-00000015", "step-00000020"]


def test_saving_does_not_wait_for_the_disk_and_updates_wait_for_the_copy_alone(tmp_path: Path) -> None:
    store, live = checkpoints(tmp_path), state(5.0)
    with FileLock(tmp_path / "lock"):
        store.save(5, [], live, goodput={})
        store.before_update()
        live.fragments[0].tensors["weight"].fill_(-1)
        assert store.is_busy
        assert not (tmp_path / "latest").exists()
    store.finish()
    assert SavedState(state_files(tmp_path / "latest")).read("weight", "head.weight", 0, 6).tolist() == [5.0] * 6


def save_two_with_a_first_worker_that_publishes_late(root: Path, reporter: TrainingReporter) -> bool:
    """Whether the first checkpoint was published when this worker had begun to save the second one."""
    publish = checkpoint_files.publish

    def late(*arguments: Any, **options: Any) -> Path:
        while not (root / "saving").exists():
            time.sleep(0.01)
        return publish(*arguments, **options)

    root.mkdir(exist_ok=True)
    store = checkpoints_of_rank(root / "checkpoints", reporter.rank)
    half = State([Fragment("head.weight", 3 * reporter.rank, {kind: torch.ones(3) for kind in KINDS})], 3, state().random)
    with mock.patch.object(checkpoint_files, "publish", late):
        store.save(1, [], half, goodput={})
        if reporter.rank == 1:
            (root / "saving").touch()
        store.save(2, [], half, goodput={})
        published = (root / "checkpoints" / "step-00000001").exists()
        store.finish()
    store.close()
    return published


def test_the_thread_that_saves_starts_no_others_and_leaves_the_training_its_own(tmp_path: Path) -> None:
    large = Fragment("head.weight", 0, {kind: torch.zeros(1 << 22) for kind in KINDS})
    threads, store = torch.get_num_threads(), checkpoints(tmp_path, sizes={"head.weight": 1 << 22})
    torch.zeros(1 << 22)  # the threads of this one
    before = len(list(Path("/proc/self/task").iterdir()))
    store.reserve(State([large], 3, {}))
    store.save(5, [], State([large], 3, {}), goodput={})
    store.finish()
    assert len(list(Path("/proc/self/task").iterdir())) == before
    assert torch.get_num_threads() == threads
    store.close()


NICE = """
import os
from components.training.checkpoints import saving
os.nice(15)  # as Ray starts its workers
if os.geteuid() == 0:
    os.setuid(65534)
print(os.nice(0), saving._single_threaded("write", low_priority=True).submit(os.nice, 0).result())
"""


@pytest.mark.long
def test_the_thread_that_writes_is_nicer_than_the_training_whatever_its_niceness_and_user() -> None:
    training, writing = map(int, subprocess.check_output([sys.executable, "-c", NICE], cwd=ROOT, text=True).split())
    assert writing == min(19, training + NICENESS)


@pytest.mark.long
def test_no_worker_saves_again_before_the_first_one_has_published(tmp_path: Path) -> None:
    work = save_two_with_a_first_worker_that_publishes_late
    assert SpawningLauncher().launch(work, tmp_path / "root", workers=2, metrics=SilentMetrics()) == [True, True]


def save_beside_a_first_worker_that_is_stuck(root: Path, reporter: TrainingReporter) -> bool:
    """Whether the second worker has given up waiting for the first one, and goes on."""
    store = checkpoints_of_rank(root, reporter.rank)
    half = State([Fragment("head.weight", 3 * reporter.rank, {kind: torch.ones(3) for kind in KINDS})], 3, state().random)
    done = root / "done"
    gone_on = False
    with mock.patch.object(checkpoints_module, "RECEIPT_TIMEOUT", 0.2 if reporter.rank else 600.0):
        if reporter.rank == 0:
            while not done.exists():
                time.sleep(0.01)
        store.save(1, [], half, goodput={})
        if reporter.rank == 1:
            store.wait()
            gone_on = True
            done.touch()
        store.finish()
    store.close()
    return gone_on


@pytest.mark.long
def test_a_first_worker_that_is_slow_with_its_disk_does_not_end_the_others(tmp_path: Path) -> None:
    work = save_beside_a_first_worker_that_is_stuck
    assert SpawningLauncher().launch(work, tmp_path / "root", workers=2, metrics=SilentMetrics()) == [False, True]
    assert names(tmp_path / "root") == ["step-00000001"]


def fail_on_the_first_worker_before_the_second_has_begun(root: Path, reporter: TrainingReporter) -> list[str]:
    """What is left of a checkpoint that the first worker could not write."""
    store = checkpoints_of_rank(root, reporter.rank)
    half = State([Fragment("head.weight", 3 * reporter.rank, {kind: torch.ones(3) for kind in KINDS})], 3, state().random)
    failed = root / "failed"
    real = direct_files.write

    def write(path: Path, contents: Iterable[torch.Tensor]) -> str:
        if reporter.rank == 0:
            failed.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, contents)

    with mock.patch.object(direct_files, "write", write):
        while reporter.rank == 1 and not failed.exists():
            time.sleep(0.01)
        store.save(1, [], half, goodput={})
        store.finish()
    store.close()
    return names(root)


@pytest.mark.long
def test_a_disk_that_is_full_for_one_worker_keeps_nothing_of_what_the_others_wrote(tmp_path: Path) -> None:
    work = fail_on_the_first_worker_before_the_second_has_begun
    assert SpawningLauncher().launch(work, tmp_path / "root", workers=2, metrics=SilentMetrics()) == [[], []]


def test_a_training_without_checkpoints_starts_at_its_trunk_and_with_some_at_its_own(tmp_path: Path) -> None:
    save(tmp_path / "trunk", 5)
    trunk, root = (tmp_path / "trunk" / "latest").resolve(), tmp_path / "own"
    assert checkpoints(root, branch_from=trunk).newest() == ResumePoint(trunk, 5, ())
    save(root, 10, branch_from=trunk)
    assert checkpoints(root, branch_from=trunk).newest().step == 10


def test_a_trunk_of_another_training_or_a_damaged_one_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    save(tmp_path / "trunk", 5)
    trunk = tmp_path / "trunk" / "step-00000005"
    with pytest.raises(CheckpointError, match="cannot branch from this checkpoint: model is 'a', not 'b'"):
        checkpoints(tmp_path / "own", model="b", branch_from=trunk).newest()
    (trunk / "history.jsonl").write_text("")
    with pytest.raises(CheckpointError, match=r"history\.jsonl was changed"):
        checkpoints(tmp_path / "own", branch_from=trunk).newest()
    (trunk / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"manifest\.json cannot be read"):
        checkpoints(tmp_path / "own", branch_from=trunk).newest()


def test_what_was_being_written_when_the_process_died_is_no_checkpoint_and_is_removed(tmp_path: Path) -> None:
    save(tmp_path, 5)
    shutil.copytree(tmp_path / "step-00000005", Attempt(tmp_path, 1).staging(10))
    assert checkpoints(tmp_path).newest().step == 5
    assert names(tmp_path) == ["step-00000005"]


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("rank-00000.safetensors", b"weight", "rank-00000.safetensors was changed"),
        ("rank-00000.safetensors", None, "rank-00000.safetensors is missing"),
        ("history.jsonl", b"", "history.jsonl was changed"),
        ("manifest.json", b'{"step": 1', "manifest.json cannot be read"),
        ("manifest.json", None, "manifest.json cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_set_aside(tmp_path: Path, name: str, content: bytes | None, wrong: str) -> None:
    save(tmp_path, 5, 10)
    damaged = tmp_path / "step-00000010" / name
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    assert wrong in differences(tmp_path / "step-00000010", IDENTITY)[0]
    newest = checkpoints(tmp_path).newest()
    assert newest.step == 5
    assert newest.damaged[0].startswith("step-00000010: ")
    assert names(tmp_path) == ["damaged-step-00000010", "step-00000005"]
    assert (tmp_path / "latest").resolve() == newest.directory


def test_what_was_set_aside_as_damaged_goes_with_the_first_checkpoint_of_a_later_step(tmp_path: Path) -> None:
    save(tmp_path, 5, 10)
    (tmp_path / "step-00000010" / "history.jsonl").unlink()
    store = checkpoints(tmp_path)
    store.newest()
    store.save(7, [], state(), goodput={})
    store.wait()
    assert names(tmp_path) == ["damaged-step-00000010", "step-00000005", "step-00000007"]
    store.save(11, [], state(), goodput={})
    store.finish()
    assert names(tmp_path) == ["step-00000007", "step-00000011"]


def test_training_does_not_start_afresh_beside_checkpoints_that_cannot_be_read_today(tmp_path: Path) -> None:
    save(tmp_path, 5, 10)
    stale = OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    with mock.patch.object(Path, "read_bytes", side_effect=stale), pytest.raises(CheckpointError, match="from any of its"):
        checkpoints(tmp_path).newest()
    assert checkpoints(tmp_path).newest().step == 10


def test_what_a_person_has_renamed_is_no_checkpoint_and_hinders_none(tmp_path: Path) -> None:
    save(tmp_path, 5, 10)
    (tmp_path / "step-00000010").rename(tmp_path / "step-00000010.bad")
    assert checkpoints(tmp_path).newest().step == 5


def test_a_file_of_the_attempt_that_is_none_is_named(tmp_path: Path) -> None:
    save(tmp_path, 5)
    (tmp_path / "attempt").write_bytes(bytes(1))
    with pytest.raises(CheckpointError, match="attempt: invalid content; delete the file after making sure"):
        checkpoints(tmp_path)


def test_an_old_checkpoint_that_goes_is_never_there_in_part(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    real = shutil.rmtree

    def note(path: Path, *arguments: Any, **options: Any) -> None:
        seen.append(names(tmp_path))
        real(path, *arguments, **options)

    with mock.patch.object(shutil, "rmtree", note):
        save(tmp_path, 5, 10, keep=1)
    assert ["step-00000010", "writing-00001-step-00000005"] in seen
    assert names(tmp_path) == ["step-00000010"]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    save(tmp_path, 5, 10)
    path = tmp_path / "step-00000010" / "rank-00000.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert checkpoints(tmp_path).newest().step == 5


def test_a_checkpoint_of_another_training_is_set_aside_for_the_one_before(tmp_path: Path) -> None:
    save(tmp_path, 5)
    save(tmp_path, 10, model="b")
    newest = checkpoints(tmp_path).newest()
    assert (newest.step, newest.damaged) == (5, (f"step-00000010: {OTHER_TRAINING}: model is 'b', not 'a'",))
    assert names(tmp_path) == ["refused-step-00000010", "step-00000005"]


def test_nothing_but_checkpoints_of_another_training_is_an_error(tmp_path: Path) -> None:
    save(tmp_path, 5)
    with pytest.raises(CheckpointError, match="configuration: model is 'a', not 'b'"):
        checkpoints(tmp_path, model="b").newest()
    assert names(tmp_path) == ["step-00000005"]


def test_an_attempt_that_was_superseded_writes_nothing_over_its_successor(tmp_path: Path) -> None:
    older = checkpoints(tmp_path)
    save(tmp_path, 5)
    older.save(10, [], state(), goodput={})
    with pytest.raises(SupersededAttempt, match="attempt 2 has taken over; attempt 1 stops"):
        older.finish()
    assert names(tmp_path) == ["step-00000005"]


def test_a_full_disk_costs_one_checkpoint_and_leaves_the_former(tmp_path: Path) -> None:
    store = save(tmp_path, 5)
    store = checkpoints(tmp_path)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, unlimited[1]))
    try:
        store.save(10, [], state(), goodput={})
        store.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert store.failed == 1
    assert names(tmp_path) == ["step-00000005"]
    store.save(15, [], state(), goodput={})
    store.finish()
    assert (tmp_path / "latest").resolve().name == "step-00000015"


def test_a_store_that_is_away_costs_the_checkpoints_of_that_time(tmp_path: Path) -> None:
    root = tmp_path / "store"
    save(root, 5)
    store = checkpoints(root)
    root.rename(tmp_path / "away")
    root.touch()
    store.save(10, [], state(), goodput={})
    store.wait()
    root.unlink()
    (tmp_path / "away").rename(root)
    store.save(15, [], state(), goodput={})
    store.finish()
    assert store.failed == 1
    assert names(root) == ["step-00000005", "step-00000015"]


def test_a_state_that_lacks_elements_is_not_published(tmp_path: Path) -> None:
    store = checkpoints(tmp_path)
    half = Fragment("head.weight", 0, {kind: torch.ones(3) for kind in KINDS})
    store.save(5, [], State([half], 1, {}), goodput={})
    store.finish()
    assert (store.failed, names(tmp_path)) == (1, [])


def test_a_directory_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written there"):
        checkpoints(tmp_path / "file")


def test_the_manifest_lists_every_file_but_itself(tmp_path: Path) -> None:
    save(tmp_path, 5)
    manifest = json.loads((tmp_path / "latest" / "manifest.json").read_text())
    assert set(manifest["files"]) == {"history.jsonl", "rank-00000.safetensors"}
