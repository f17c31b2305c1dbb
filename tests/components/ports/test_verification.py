"""What was hashed is trusted only as long as nothing could have changed it, and its loss costs a hashing, never a wrong yes."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from components.artifacts import Artifact, FileRecord
from components.errors import DamagedArtifact
from components.ports import LocalArtifactStore, verification
from components.ports.verification import HashedFiles, Stamp, VerifiedFiles, file_clock
from tests import processes
from tests.components.ports.store_suite import change, change_and_remember, counted_hashings, next_run, publish


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    """A store in an empty directory."""
    return LocalArtifactStore(tmp_path / "store")


@pytest.fixture
def remembered(store: LocalArtifactStore) -> VerifiedFiles:
    """An artifact of an earlier run, whose files were verified."""
    artifact = publish(store)
    next_run()
    store.local(artifact)
    verified = VerifiedFiles(store.root, artifact)
    assert verified.path.is_file()
    return verified


@pytest.fixture
def hashings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each file that is hashed, as often as it is."""
    return counted_hashings(monkeypatch)


def records(store: LocalArtifactStore, artifact: Artifact) -> tuple[FileRecord, ...]:
    return store.manifest(artifact.uri).files


def test_what_is_remembered_holds_size_times_and_inode_of_each_file(store: LocalArtifactStore, remembered: VerifiedFiles) -> None:
    values = json.loads(remembered.path.read_bytes().partition(b"\n")[2])
    status = (store.root / remembered.artifact.uri / "a.txt").stat()
    assert values["digest"] == remembered.artifact.digest
    assert values["files"]["a.txt"] == [4, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    assert sorted(values["files"]) == ["a.txt", "empty", "metrics/n.parquet"]


def test_what_looks_for_differences_hashes_what_is_remembered(store: LocalArtifactStore) -> None:
    artifact = publish(store)
    change_and_remember(store, artifact)
    assert store.differences(artifact) == ["a.txt: sha256 differs from the manifest"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def of_another_artifact(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"digest": "', b'"digest": "0'))


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: list[Callable[[Path], object]] = [
    cut,
    flip,
    of_another_artifact,
    a_directory,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"\xff\n[]"),
    lambda path: path.write_bytes(b"4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945\n[]"),
    lambda path: path.unlink(),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_remembrance_costs_a_hashing(
    store: LocalArtifactStore, remembered: VerifiedFiles, damage: Callable[[Path], object], hashings: list[str]
) -> None:
    damage(remembered.path)
    next_run()
    store.local(remembered.artifact)
    assert sorted(hashings) == ["a.txt", "empty", "n.parquet"]
    change(store.root / remembered.artifact.uri / "a.txt")
    with pytest.raises(DamagedArtifact, match=r"a\.txt: sha256 differs"):
        store.local(remembered.artifact)


def test_a_copied_home_is_verified_anew_and_a_renamed_one_is_not(
    store: LocalArtifactStore, remembered: VerifiedFiles, tmp_path: Path, hashings: list[str]
) -> None:
    shutil.copytree(store.root, tmp_path / "copied", copy_function=shutil.copy2)
    store.root.rename(tmp_path / "renamed")
    next_run()
    LocalArtifactStore(tmp_path / "renamed").local(remembered.artifact)
    assert hashings == []
    copied = LocalArtifactStore(tmp_path / "copied")
    copied.local(remembered.artifact)
    assert sorted(hashings) == ["a.txt", "empty", "n.parquet"]
    next_run()
    copied.local(remembered.artifact)
    assert len(hashings) == 3


def test_another_machine_that_sees_the_same_disk_verifies_for_itself(
    store: LocalArtifactStore, remembered: VerifiedFiles, monkeypatch: pytest.MonkeyPatch, hashings: list[str]
) -> None:
    monkeypatch.setattr("platform.node", lambda: "another")
    next_run()
    store.local(remembered.artifact)
    assert len(hashings) == 3
    store.delete(remembered.artifact)
    assert not [path for path in (store.root / verification.CACHE_DIRECTORY).rglob("*") if path.is_file()]


def test_a_full_disk_is_a_line_of_log(
    store: LocalArtifactStore, remembered: VerifiedFiles, caplog: pytest.LogCaptureFixture
) -> None:
    path = remembered.path
    path.unlink()
    path.with_name(f".{path.name}.{os.getpid()}.partial").symlink_to("/dev/full")
    next_run()
    assert store.local(remembered.artifact)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "No space left on device" in caplog.text
    assert not path.exists()
    assert list(path.parent.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_a_line_of_log(
    store: LocalArtifactStore, remembered: VerifiedFiles, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(store.root / "cache")
    (store.root / "cache").write_bytes(b"")
    next_run()
    assert store.local(remembered.artifact)
    assert "will be hashed again" in caplog.text


def _verify_often(root: Path, artifact: Artifact, names: list[str]) -> None:
    """What one of two processes does, each time in a run of its own."""
    store = LocalArtifactStore(root)
    for _ in range(20):
        for name in names:
            next_run()
            store.local(artifact, only=(name,))


def test_two_processes_at_once_leave_a_whole_remembrance(store: LocalArtifactStore, hashings: list[str]) -> None:
    artifact = publish(store)
    names = ["a.txt", "empty", "metrics/n.parquet"]
    both = [processes.started(_verify_often, store.root, artifact, order) for order in (names, names[::-1])]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    next_run()
    store.local(artifact)
    verified = VerifiedFiles(store.root, artifact)
    assert [path.name for path in verified.path.parent.iterdir()] == [verified.path.name]
    next_run()
    hashings.clear()
    store.local(artifact)
    assert hashings == []


def test_a_file_that_was_just_written_is_hashed_when_a_change_would_show(tmp_path: Path) -> None:
    """Many times, so that writes and hashings meet within one tick of the clock."""
    hashed, path = HashedFiles(), tmp_path / "a"
    for number in range(100):
        path.write_text(f"{number:03}")
        assert hashed.sha256(path) == verification.sha256_of_file(path)


def test_a_file_of_a_later_time_than_now_is_hashed_again(tmp_path: Path, hashings: list[str]) -> None:
    """The clock was set back after it was written."""
    hashed, path = HashedFiles(clock=lambda: file_clock() - 3600 * 10**9), tmp_path / "a"
    path.write_text("text")
    for _ in range(2):
        assert hashed.hash(path)[1] is None
    assert hashings == ["a", "a"]


def test_what_was_verified_at_a_later_time_than_now_is_hashed_again(
    store: LocalArtifactStore, remembered: VerifiedFiles, hashings: list[str]
) -> None:
    """The clock was set back after it was remembered."""
    files = records(store, remembered.artifact)
    early = replace(remembered, hashed=HashedFiles(clock=lambda: file_clock() - 3600 * 10**9))
    assert early.differences(files) == {}
    assert len(hashings) == 3
    assert replace(remembered, hashed=HashedFiles()).differences(files) == {}
    assert len(hashings) == 3


def test_whole_seconds_are_the_stamps_of_a_coarse_file_system(tmp_path: Path) -> None:
    """A file's last change is then older than its hashing only after the next second."""
    now = 1_000_000 * 10**9
    stamp = Stamp(device=1, inode=1, size=1, mtime_ns=now, ctime_ns=now)
    assert not HashedFiles(clock=lambda: now + 10**9).precedes_run(stamp)
    assert HashedFiles(clock=lambda: now + 3 * 10**9).precedes_run(stamp)
    assert HashedFiles(clock=lambda: now + 10**9).precedes_run(replace(stamp, ctime_ns=now + 1))


def test_a_file_that_is_moved_is_remembered_by_what_was_hashed(tmp_path: Path, hashings: list[str]) -> None:
    hashed, source, target = HashedFiles(), tmp_path / "source", tmp_path / "target"
    source.write_text("text")
    hashed.move(source, target, "0" * 64)
    assert hashed.sha256(target) == "0" * 64
    assert hashings == []
    change(target)
    assert hashed.sha256(target) == verification.sha256_of_file(target) != "0" * 64


def test_another_run_trusts_nothing_that_this_one_hashed(tmp_path: Path, hashings: list[str]) -> None:
    hashed, path = HashedFiles(), tmp_path / "a"
    path.write_text("text")
    hashed.sha256(path)
    hashed.sha256(path)
    hashed.start_run()
    hashed.sha256(path)
    assert hashings == ["a", "a"]
