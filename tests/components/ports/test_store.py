"""The local artifact store keeps the promises of the port; a kill at any moment, a moved root and every changed byte besides."""

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.artifacts import Artifact
from components.ports import LocalArtifactStore
from components.ports.store import records_of
from tests.components.ports.store_suite import KEY, ArtifactStoreSuite, fill, publish


@dataclass(frozen=True)
class Files:
    """The files of a local store."""

    root: Path

    def read(self, artifact: Artifact, name: str) -> bytes:
        return (self.root / artifact.uri / name).read_bytes()

    def write(self, artifact: Artifact, name: str, data: bytes) -> None:
        (self.root / artifact.uri / name).write_bytes(data)

    def remove(self, artifact: Artifact, name: str) -> None:
        (self.root / artifact.uri / name).unlink()

    def outside_artifacts(self) -> list[str]:
        names = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
        return sorted(name for name in names if not name.startswith("artifacts/"))


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    """A store in an empty directory."""
    return LocalArtifactStore(tmp_path / "store")


class TestLocalArtifactStore(ArtifactStoreSuite):
    @pytest.fixture
    def elsewhere(self, store: LocalArtifactStore) -> LocalArtifactStore:
        return store

    @pytest.fixture
    def contents(self, store: LocalArtifactStore) -> Files:
        return Files(store.root)


def test_a_store_can_be_moved(store: LocalArtifactStore, tmp_path: Path) -> None:
    artifact = publish(store)
    store.root.rename(tmp_path / "moved")
    moved = LocalArtifactStore(tmp_path / "moved")
    assert moved.find("curation", KEY) == artifact
    assert moved.differences(artifact) == []


def test_records_hold_path_hash_size_and_rows(tmp_path: Path) -> None:
    fill(tmp_path)
    assert [(record.path, record.size, record.rows) for record in records_of(tmp_path) if record.path != "metrics/n.parquet"] == [
        ("a.txt", 4, None),
        ("empty", 0, None),
    ]
    assert {record.path: record.rows for record in records_of(tmp_path)}["metrics/n.parquet"] == 3


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


@pytest.mark.long
@pytest.mark.parametrize("remake", [False, True])
def test_a_writer_killed_at_any_moment_leaves_a_whole_artifact_or_none(store: LocalArtifactStore, remake: bool) -> None:
    events = 0
    while True:
        shutil.rmtree(store.root, ignore_errors=True)
        former = publish(store) if remake else None
        killed = _killed_after(events, lambda: publish(store, text="other"))
        artifact = store.find("curation", KEY)
        assert [store.differences(each) for each in store.artifacts() if each != former] in ([], [[]])
        assert artifact is not None or not remake
        again = publish(store, text="other")
        assert store.find("curation", KEY) == again
        if not killed:
            assert artifact == again
            assert artifact != former
            return
        events += 1


def test_a_directory_in_the_place_of_a_file_is_named(store: LocalArtifactStore) -> None:
    artifact = publish(store)
    (store.root / artifact.uri / "a.txt").unlink()
    (store.root / artifact.uri / "a.txt").mkdir()
    assert store.differences(artifact) == ["a.txt: missing"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_found(tmp_path: Path, data: st.DataObject) -> None:
    store = LocalArtifactStore(tmp_path)
    artifact = publish(store)
    path = data.draw(st.sampled_from([tmp_path / artifact.uri / name for name in ("a.txt", "metrics/n.parquet")]))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert len(store.differences(artifact)) == 1
