"""Copies of checkpoints in a real S3 process: made in the background, by one attempt at a time, found on another machine."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch

from components.errors import CheckpointError, SupersededAttempt
from components.ports import RemoteScratch
from components.training.checkpoints import uploads
from components.training.checkpoints.remote import RemoteCheckpoints
from components.training.checkpoints.saving import CheckpointPlan, Checkpoints
from components.training.checkpoints.state import KINDS, Fragment, SavedState, State
from components.training.engine import process_group
from tests.components.training.conftest import Training, equal
from tests.infra.s3_server import CREDENTIALS
from tests.servers import Server, client, durable_object_store, free_port

pytestmark = pytest.mark.long

BUCKET = "training"

alone = pytest.mark.usefixtures("group")


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of one."""
    with process_group(torch.device("cpu"), 1):
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A store that keeps what it has when it is killed."""
    with durable_object_store(tmp_path_factory.mktemp("store")).running() as running:
        client(running.url).create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture
def scratch(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteScratch:
    """An empty folder in the store."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(uploads, "PAUSES", (0.05, 0.05))
    return RemoteScratch(url=f"s3://{BUCKET}/{tmp_path.name}", endpoint=server.url)


def opened(root: Path, scratch: RemoteScratch, **options: object) -> Checkpoints:
    values = {"rank": 0, "world_size": 1, "keep": 2, "sizes": {"head.weight": 6}}
    plan = CheckpointPlan(root=root, identity={"model": "a"}, uploads=scratch)
    return Checkpoints(plan, **values | options)  # type: ignore[arg-type]


def state(value: float) -> State:
    return State([Fragment("head.weight", 0, {kind: torch.full((6,), value) for kind in KINDS})], 3, {})


def save(store: Checkpoints, *steps: int) -> None:
    for step in steps:
        store.save(step, [json.dumps({"step": step})], state(float(step)), goodput={})
        store.finish()


def saved(root: Path, scratch: RemoteScratch, *steps: int, **options: object) -> Checkpoints:
    store = opened(root, scratch, **options)
    save(store, *steps)
    store.close()
    return store


def objects(scratch: RemoteScratch) -> dict[str, list[str]]:
    """Files of each checkpoint in the store, by its step."""
    prefix = scratch.url.removeprefix(f"s3://{BUCKET}/") + "/"
    files: dict[str, list[str]] = {}
    for entry in client(scratch.endpoint).list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
        directory, _, name = entry["Key"].removeprefix(prefix).rpartition("/")
        files.setdefault(directory.rpartition("-")[0], []).append(name)
    return files


def latest(scratch: RemoteScratch) -> str:
    key = f"{scratch.url.removeprefix(f's3://{BUCKET}/')}/latest"
    return str(client(scratch.endpoint).get_object(Bucket=BUCKET, Key=key)["Body"].read().decode())


@alone
def test_another_machine_goes_on_from_the_newest_whole_checkpoint_in_the_store(scratch: RemoteScratch, tmp_path: Path) -> None:
    saved(tmp_path / "here", scratch, 5, 10)
    store = opened(tmp_path / "there", scratch)
    newest = store.newest()
    store.close()
    assert (newest.step, newest.damaged) == (10, ())
    assert SavedState([tmp_path / "there" / "latest" / "rank-00000.safetensors"]).read("weight", "head.weight", 0, 1).item() == 10
    assert latest(scratch).startswith("step-00000010-")


@alone
def test_the_newest_and_the_permanent_stay_in_the_store_too(scratch: RemoteScratch, tmp_path: Path) -> None:
    saved(tmp_path, scratch, 5, 10, 15, 20, permanent={5})
    assert set(objects(scratch)) == {"", "step-00000005", "step-00000015", "step-00000020"}
    assert all(len(files) == 3 for name, files in objects(scratch).items() if name)


@alone
def test_another_machine_has_the_permanent_checkpoints_too(scratch: RemoteScratch, tmp_path: Path) -> None:
    saved(tmp_path / "here", scratch, 5, 10, 15, permanent={5})
    store = opened(tmp_path / "there", scratch, permanent={5})
    assert store.newest().step == 15
    store.close()
    assert sorted(path.name for path in (tmp_path / "there").glob("step-*")) == ["step-00000005", "step-00000015"]
    assert (tmp_path / "there" / "latest").resolve().name == "step-00000015"


@alone
def test_what_was_cut_short_is_not_found_and_goes_with_the_next(scratch: RemoteScratch, tmp_path: Path) -> None:
    saved(tmp_path / "here", scratch, 5, 10)
    cut = f"{scratch.url.removeprefix(f's3://{BUCKET}/')}/{latest(scratch)}/manifest.json"
    client(scratch.endpoint).delete_object(Bucket=BUCKET, Key=cut)
    store = opened(tmp_path / "there", scratch)
    assert store.newest().step == 5
    save(store, 12)
    store.close()
    assert set(objects(scratch)) == {"", "step-00000005", "step-00000012"}


@alone
def test_a_changed_copy_is_refused_for_the_one_before(scratch: RemoteScratch, tmp_path: Path) -> None:
    saved(tmp_path / "here", scratch, 5, 10)
    changed = f"{scratch.url.removeprefix(f's3://{BUCKET}/')}/{latest(scratch)}/rank-00000.safetensors"
    client(scratch.endpoint).put_object(Bucket=BUCKET, Key=changed, Body=b"changed")
    store = opened(tmp_path / "there", scratch)
    assert store.newest().step == 5
    store.close()


@alone
@pytest.mark.parametrize(("name", "body"), [("manifest.json", b'{"step": 1'), ("rank-00000.safetensors", None)])
def test_a_copy_that_is_damaged_is_refused_for_the_one_before_and_the_store_is_not_blamed(
    scratch: RemoteScratch, tmp_path: Path, name: str, body: bytes | None
) -> None:
    saved(tmp_path / "here", scratch, 5, 10)
    key = f"{scratch.url.removeprefix(f's3://{BUCKET}/')}/{latest(scratch)}/{name}"
    if body is None:
        client(scratch.endpoint).delete_object(Bucket=BUCKET, Key=key)
    else:
        client(scratch.endpoint).put_object(Bucket=BUCKET, Key=key, Body=body)
    store = opened(tmp_path / "there", scratch)
    assert store.newest().step == 5
    store.close()


@alone
def test_damaged_checkpoints_of_this_machine_are_replaced_from_the_store(scratch: RemoteScratch, tmp_path: Path) -> None:
    saved(tmp_path, scratch, 5, 10)
    for directory in tmp_path.glob("step-*"):
        (directory / "history.jsonl").unlink()
    store = opened(tmp_path, scratch)
    assert store.newest().step == 10
    store.close()
    assert sorted(path.name for path in tmp_path.glob("*step-*")) == [
        "damaged-step-00000010",
        "step-00000005",
        "step-00000010",
    ]


@alone
def test_a_thread_that_dies_of_a_bug_is_counted_and_nobody_waits_for_it(scratch: RemoteScratch, tmp_path: Path) -> None:
    store = opened(tmp_path, scratch)
    with mock.patch.object(RemoteCheckpoints, "put", side_effect=ZeroDivisionError):
        save(store, 5)
    assert store.figures() == {"failed_uploads": 1}
    store.close()


@alone
def test_checkpoints_of_this_machine_that_are_newer_stay(scratch: RemoteScratch, tmp_path: Path) -> None:
    saved(tmp_path, scratch, 5)
    local = Checkpoints(
        CheckpointPlan(root=tmp_path, identity={"model": "a"}), rank=0, world_size=1, keep=2, sizes={"head.weight": 6}
    )
    save(local, 10)
    local.close()
    store = opened(tmp_path, scratch)
    assert store.newest().step == 10
    store.close()


@alone
def test_a_store_that_is_killed_and_comes_back_has_the_newest_and_training_did_not_wait(
    server: Server, scratch: RemoteScratch, tmp_path: Path
) -> None:
    store = opened(tmp_path / "here", scratch)
    save(store, 5)
    server.kill()
    save(store, 10, 15)
    assert store.figures()["failed_uploads"] >= 1
    assert store.newest().step == 15
    server.start()
    deadline = time.monotonic() + 60
    while not latest(scratch).startswith("step-00000015"):
        assert time.monotonic() < deadline, "the copy was not tried again"
        time.sleep(0.05)
    store.close()
    shutil.rmtree(tmp_path / "here")
    again = opened(tmp_path / "there", scratch)
    assert again.newest().step == 15
    again.close()


@alone
def test_a_store_that_is_down_at_the_start_is_done_without_if_there_are_checkpoints(
    tmp_path: Path, scratch: RemoteScratch
) -> None:
    nowhere = RemoteScratch(url="s3://training/nowhere", endpoint=f"http://127.0.0.1:{free_port()}")
    store = opened(tmp_path, nowhere)
    with pytest.raises(
        CheckpointError, match="cannot find out whether this training already has checkpoints: s3://training/nowhere"
    ):
        store.newest()
    store.close()
    saved(tmp_path, scratch, 5)
    store = opened(tmp_path, nowhere)
    assert store.newest().step == 5
    save(store, 10)
    assert store.figures()["failed_uploads"] >= 1
    store.close()


@alone
def test_an_attempt_that_was_superseded_in_the_store_puts_nothing_there_and_ends(scratch: RemoteScratch, tmp_path: Path) -> None:
    older = opened(tmp_path / "here", scratch)
    save(older, 5)
    saved(tmp_path / "there", scratch, 7)
    before = objects(scratch)
    save(older, 10)
    with pytest.raises(SupersededAttempt, match="has taken over"):
        older.before_update()
    older.close()
    assert objects(scratch) == before


def test_a_training_goes_on_bitwise_on_another_machine(training: Training, scratch: RemoteScratch, tmp_path: Path) -> None:
    training(checkpoints=tmp_path / "here", uploads=scratch, until=7)
    resumed, trained, _ = training(checkpoints=tmp_path / "there", uploads=scratch)
    uninterrupted, whole, _ = training(checkpoints=tmp_path / "whole")
    assert trained.resumed_from == 7
    assert trained.history == whole.history
    assert equal(resumed, uninterrupted)
