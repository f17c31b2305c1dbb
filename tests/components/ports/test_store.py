"""The artifact store: whole or not there, found again by key, and every difference from the manifest named."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.artifacts import FORMAT_VERSION, MANIFEST, Artifact, Manifest
from components.errors import DamagedArtifact, MissingArtifact, NewerFormat
from components.ports import LocalArtifactStore
from components.ports.store import records_of

KEY = "0123456789abcdef" * 4


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    """A store in an empty directory."""
    return LocalArtifactStore(tmp_path / "store")


def _fill(output: Path, text: str = "text") -> None:
    (output / "metrics").mkdir()
    (output / "a.txt").write_text(text, encoding="utf-8")
    (output / "empty").write_bytes(b"")
    pq.write_table(pa.table({"n": [1, 2, 3]}), output / "metrics" / "n.parquet")


def _manifest(output: Path, key: str = KEY, step: str = "curation") -> Manifest:
    return Manifest(
        step=step, kind="Corpus", cache_key=key, config={}, code_digest="c", environment_digest="e", files=records_of(output)
    )


def _publish(store: LocalArtifactStore, *, key: str = KEY, step: str = "curation", text: str = "text") -> Artifact:
    with store.writing(step) as output:
        _fill(output, text)
        return store.publish(output, _manifest(output, key, step))


def _files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_what_was_published_is_found_by_step_and_key(store: LocalArtifactStore) -> None:
    artifact = _publish(store)
    assert store.find("curation", KEY) == artifact
    assert store.manifest(artifact.uri).digest == artifact.digest
    assert (store.local(artifact) / "a.txt").read_text(encoding="utf-8") == "text"
    assert list(store.artifacts()) == [artifact]
    assert store.differences(artifact) == []


def test_another_step_or_key_finds_nothing(store: LocalArtifactStore) -> None:
    _publish(store)
    assert store.find("tokenizer", KEY) is None
    assert store.find("curation", "f" * 64) is None


def test_a_key_that_only_begins_alike_finds_nothing(store: LocalArtifactStore) -> None:
    _publish(store)
    assert store.find("curation", KEY[:16] + "f" * 48) is None


def test_a_store_can_be_moved(store: LocalArtifactStore, tmp_path: Path) -> None:
    artifact = _publish(store)
    store.root.rename(tmp_path / "moved")
    moved = LocalArtifactStore(tmp_path / "moved")
    assert moved.find("curation", KEY) == artifact
    assert moved.differences(artifact) == []


def test_records_hold_path_hash_size_and_rows(tmp_path: Path) -> None:
    _fill(tmp_path)
    assert [(record.path, record.size, record.rows) for record in records_of(tmp_path) if record.path != "metrics/n.parquet"] == [
        ("a.txt", 4, None),
        ("empty", 0, None),
    ]
    assert {record.path: record.rows for record in records_of(tmp_path)}["metrics/n.parquet"] == 3


def test_nothing_stays_of_a_write_that_failed(store: LocalArtifactStore) -> None:
    def fail() -> None:
        with store.writing("curation") as output:
            _fill(output)
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert _files(store.root) == []
    assert store.find("curation", KEY) is None


def test_nothing_stays_of_a_write_that_was_not_published(store: LocalArtifactStore) -> None:
    with store.writing("curation") as output:
        _fill(output)
    assert _files(store.root) == []


def test_scratch_is_removed_when_its_step_publishes(store: LocalArtifactStore) -> None:
    scratch = store.scratch("curation", KEY)
    scratch.mkdir(parents=True)
    (scratch / "checkpoint").write_bytes(b"x")
    _publish(store)
    assert not scratch.exists()


def _killed_after(events: int, work: Callable[[], object]) -> bool:
    """Run `work` in a child that is killed at its nth audited operation (open, rename, mkdir, …); whether it was killed."""

    def child() -> None:
        seen = 0

        def count(event: str, _: object) -> None:
            nonlocal seen
            if event != "os.kill" and event.startswith(("open", "os.", "shutil.", "tempfile.")):
                seen += 1
                if seen > events:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("remake", [False, True])
def test_a_writer_killed_at_any_moment_leaves_a_whole_artifact_or_none(store: LocalArtifactStore, remake: bool) -> None:
    events = 0
    while True:
        shutil.rmtree(store.root, ignore_errors=True)
        former = _publish(store) if remake else None
        killed = _killed_after(events, lambda: _publish(store, text="other"))
        found = store.find("curation", KEY)
        assert list(store.artifacts()) == ([found] if found else [])
        assert found is None or store.differences(found) == []
        again = _publish(store, text="other")
        assert store.find("curation", KEY) == again
        if not killed:
            assert found == again
            assert found != former
            return
        events += 1


def _publish_often(root: Path, text: str, barrier: "multiprocessing.synchronize.Barrier") -> None:
    barrier.wait()
    for _ in range(20):
        _publish(LocalArtifactStore(root), text=text)


def test_two_writers_of_one_key_leave_one_whole_artifact(store: LocalArtifactStore) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    writers = [context.Process(target=_publish_often, args=(store.root, text, barrier)) for text in ("one", "other")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    found = store.find("curation", KEY)
    assert found is not None
    assert store.differences(found) == []
    assert not [name for name in _files(store.root) if not name.startswith("artifacts/")]


def test_a_remade_artifact_takes_the_place_of_the_former(store: LocalArtifactStore) -> None:
    former, artifact = _publish(store), _publish(store, text="other")
    assert store.find("curation", KEY) == artifact
    assert list(store.artifacts()) == [artifact]
    with pytest.raises(DamagedArtifact, match=r"manifest\.json: digest"):
        store.local(former)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted file": (lambda place: (place / "a.txt").unlink(), "a.txt: missing"),
    "truncated file": (lambda place: (place / "a.txt").write_text("tex"), "a.txt: 3 bytes, the manifest says 4"),
    "grown file": (lambda place: (place / "empty").write_text("x"), "empty: 1 bytes, the manifest says 0"),
    "changed byte": (lambda place: (place / "a.txt").write_text("tent"), "a.txt: sha256 differs from the manifest"),
    "file nobody listed": (lambda place: (place / "b.txt").write_text("x"), "b.txt: not in the manifest"),
    "directory for a file": (lambda place: [(place / "a.txt").unlink(), (place / "a.txt").mkdir()], "a.txt: missing"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_difference_from_the_manifest_is_named(store: LocalArtifactStore, damage: str) -> None:
    artifact = _publish(store)
    spoil, message = DAMAGE[damage]
    spoil(store.root / artifact.uri)
    assert store.differences(artifact) == [message]


def test_a_wrong_size_does_not_hide_a_changed_byte_elsewhere(store: LocalArtifactStore) -> None:
    artifact = _publish(store)
    (store.root / artifact.uri / "a.txt").write_text("tent")
    (store.root / artifact.uri / "empty").write_text("x")
    assert [message.partition(":")[0] for message in store.differences(artifact)] == ["a.txt", "empty"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_found(tmp_path: Path, data: st.DataObject) -> None:
    store = LocalArtifactStore(tmp_path)
    artifact = _publish(store)
    path = data.draw(st.sampled_from([tmp_path / artifact.uri / name for name in ("a.txt", "metrics/n.parquet")]))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert len(store.differences(artifact)) == 1


@pytest.mark.parametrize("damage", ["deleted file", "truncated file"])
def test_an_artifact_cut_short_is_neither_found_nor_handed_out(store: LocalArtifactStore, damage: str) -> None:
    artifact = _publish(store)
    spoil, message = DAMAGE[damage]
    spoil(store.root / artifact.uri)
    assert store.find("curation", KEY) is None
    with pytest.raises(DamagedArtifact, match=rf"{message}; make it again with --fresh curation$"):
        store.local(artifact)


def test_a_changed_byte_is_not_handed_out(store: LocalArtifactStore) -> None:
    artifact = _publish(store)
    (store.root / artifact.uri / "a.txt").write_text("tent")
    with pytest.raises(DamagedArtifact, match=r"a\.txt: sha256 differs"):
        store.local(artifact)


def test_an_edited_manifest_is_not_the_one_that_was_pinned(store: LocalArtifactStore) -> None:
    artifact = _publish(store)
    path = store.root / artifact.uri / MANIFEST
    edited = dataclasses.replace(store.manifest(artifact.uri), figures={"documents": 9})
    path.write_bytes(edited.to_bytes())
    with pytest.raises(DamagedArtifact, match=r"manifest\.json: digest [0-9a-f]{12}, expected"):
        store.local(artifact)
    assert [message.split(":")[0] for message in store.differences(artifact)] == [MANIFEST]


def test_a_directory_without_a_manifest_is_no_artifact(store: LocalArtifactStore) -> None:
    artifact = _publish(store)
    (store.root / artifact.uri / MANIFEST).unlink()
    assert store.find("curation", KEY) is None
    assert list(store.artifacts()) == []
    with pytest.raises(MissingArtifact, match="no finished artifact here"):
        store.local(artifact)


def test_an_unreadable_manifest_hides_no_other_artifact(store: LocalArtifactStore) -> None:
    first, second = _publish(store), _publish(store, step="tokenizer")
    (store.root / first.uri / MANIFEST).write_text("{")
    assert list(store.artifacts()) == [second]
    assert store.find("curation", KEY) is None


def test_a_manifest_of_a_newer_format_is_refused_and_not_made_again(store: LocalArtifactStore) -> None:
    artifact = _publish(store)
    path = store.root / artifact.uri / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"format_version": FORMAT_VERSION + 1}), encoding="utf-8")
    for look in (lambda: store.find("curation", KEY), lambda: store.local(artifact), lambda: list(store.artifacts())):
        with pytest.raises(NewerFormat, match="upgrade it"):
            look()


def test_a_deleted_artifact_is_gone(store: LocalArtifactStore) -> None:
    kept, artifact = _publish(store, step="tokenizer"), _publish(store)
    store.delete(artifact)
    assert store.find("curation", KEY) is None
    assert list(store.artifacts()) == [kept]
    store.delete(artifact)
