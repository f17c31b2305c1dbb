"""Checkpoints in a store, here a directory: put with the manifest last, fetched if whole, by one attempt. S3: test_uploads.py."""

import json
from pathlib import Path

import pytest

from components.errors import StoreError, SupersededAttempt
from components.ports import RemoteScratch
from components.training.checkpoints.direct_files import checksum_of
from components.training.checkpoints.files import FORMAT, write_manifest
from components.training.checkpoints.remote import RemoteCheckpoints


@pytest.fixture
def scratch(tmp_path: Path) -> RemoteScratch:
    return RemoteScratch(url=f"file://{tmp_path}/store")


@pytest.fixture
def remote(scratch: RemoteScratch) -> RemoteCheckpoints:
    """Claimed; two are kept, and that of step 5."""
    remote = RemoteCheckpoints(scratch, keep=2, permanent={5})
    remote.claim()
    return remote


def checkpoint(root: Path, step: int) -> Path:
    """A published checkpoint of one worker."""
    directory = root / f"step-{step:08d}"
    directory.mkdir()
    path = directory / "rank-00000.safetensors"
    path.write_text(f"state after {step}")
    write_manifest(directory, {"format": FORMAT, "step": step, "files": {path.name: checksum_of(path)}})
    return directory


def put(remote: RemoteCheckpoints, root: Path, *steps: int) -> None:
    for step in steps:
        remote.put(checkpoint(root, step), lambda: True)


def steps(remote: RemoteCheckpoints) -> list[str]:
    return [name.rpartition("-")[0] for name in remote.newest()]


def test_a_checkpoint_comes_back_as_it_was_put(remote: RemoteCheckpoints, tmp_path: Path) -> None:
    put(remote, tmp_path, 7)
    (name,) = remote.newest()
    assert remote.fetch(name, tmp_path / "fetched")
    for path in (tmp_path / "step-00000007").iterdir():
        assert (tmp_path / "fetched" / path.name).read_bytes() == path.read_bytes()


def test_the_newest_and_the_permanent_are_kept(remote: RemoteCheckpoints, tmp_path: Path) -> None:
    put(remote, tmp_path, 3, 5, 7, 9)
    assert steps(remote) == ["step-00000009", "step-00000007", "step-00000005"]


def test_one_that_is_no_longer_wanted_is_cut_short_and_no_checkpoint(remote: RemoteCheckpoints, tmp_path: Path) -> None:
    put(remote, tmp_path, 7)
    wanted = iter([True, False])
    remote.put(checkpoint(tmp_path, 9), lambda: next(wanted))
    assert steps(remote) == ["step-00000007"]
    put(remote, tmp_path, 11)
    assert not list((tmp_path / "store").glob("step-00000009-*/*"))


def test_a_file_that_is_not_what_the_manifest_says_is_refused(remote: RemoteCheckpoints, tmp_path: Path) -> None:
    put(remote, tmp_path, 7)
    (name,) = remote.newest()
    (tmp_path / "store" / name / "rank-00000.safetensors").write_text("changed")
    assert not remote.fetch(name, tmp_path / "fetched")


@pytest.mark.parametrize("content", [None, "{", json.dumps({"format": 1})])
def test_one_without_a_whole_manifest_is_refused(remote: RemoteCheckpoints, tmp_path: Path, content: str | None) -> None:
    put(remote, tmp_path, 7)
    (name,) = remote.newest()
    manifest = tmp_path / "store" / name / "manifest.json"
    manifest.unlink() if content is None else manifest.write_text(content)
    assert not remote.fetch(name, tmp_path / "fetched")


def test_an_attempt_that_another_has_superseded_puts_nothing(
    remote: RemoteCheckpoints, scratch: RemoteScratch, tmp_path: Path
) -> None:
    RemoteCheckpoints(scratch, keep=2).claim()
    with pytest.raises(SupersededAttempt, match=f"has taken over; attempt {remote.attempt} stops"):
        put(remote, tmp_path, 7)
    assert remote.newest() == []


def test_what_an_attempt_before_has_put_beyond_the_latest_is_removed(
    remote: RemoteCheckpoints, scratch: RemoteScratch, tmp_path: Path
) -> None:
    put(remote, tmp_path, 7, 9)
    (tmp_path / "again").mkdir()
    later = RemoteCheckpoints(scratch, keep=2)
    later.claim()
    put(later, tmp_path / "again", 8)
    assert steps(later) == ["step-00000008", "step-00000007"]


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    remote = RemoteCheckpoints(RemoteScratch(url=f"file://{tmp_path}/file"), keep=2)
    with pytest.raises(StoreError, match=r"file: .*; check the store's endpoint, bucket and credentials"):
        remote.claim()
