"""The artifact store on a real S3 server process: the promises of the port, kills at every request, and clear refusals."""

import logging
import multiprocessing
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from components.artifacts import MANIFEST, Artifact
from components.errors import StoreError
from components.ports import LocalArtifactStore
from infra import bucket as bucket_of_objects
from infra import retry, storage
from infra.storage import ObjectArtifactStore
from tests import processes
from tests.components.ports.store_suite import KEY, ArtifactStoreSuite, counted_hashings, fill, manifest_of, publish
from tests.infra.s3_server import BUCKET, CountingProxy, KillingProxy, LosingProxy, Objects, bucket
from tests.servers import Server, client, durable_object_store, free_port

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server with an empty bucket."""
    with bucket(tmp_path_factory.mktemp("s3") / "log") as url:
        yield url


@pytest.fixture
def contents(endpoint: str) -> Objects:
    """What is kept below a prefix of its own."""
    return Objects(endpoint, uuid.uuid4().hex)


@pytest.fixture
def store(endpoint: str, contents: Objects, tmp_path: Path) -> ObjectArtifactStore:
    """A store below that prefix."""
    return ObjectArtifactStore(
        root=f"s3://{BUCKET}/{contents.prefix}", copies=tmp_path / "here", shared=tmp_path / "shared", endpoint=endpoint
    )


@pytest.fixture
def elsewhere(store: ObjectArtifactStore, tmp_path: Path) -> ObjectArtifactStore:
    """The same store from a machine without copies."""
    return replace(store, copies=tmp_path / "elsewhere")


class TestObjectArtifactStore(ArtifactStoreSuite):
    rounds = 5


def test_the_manifest_is_put_after_every_file_and_only_where_nobody_has(
    store: ObjectArtifactStore, contents: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    put, calls = obstore.put, []

    def recording(*arguments: object, **options: object) -> object:
        calls.append((str(arguments[1]).rpartition("/")[2], options.get("mode")))
        return put(*arguments, **options)

    monkeypatch.setattr(obstore, "put", recording)
    publish(store)
    assert calls == [("a.txt", None), ("empty", None), ("n.parquet", None), (MANIFEST, "create"), ("current.json", "create")]


def test_a_file_of_many_parts_comes_back_as_it_was(
    store: ObjectArtifactStore, elsewhere: ObjectArtifactStore, contents: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_of_objects, "CHUNK", 5 * 2**20)
    data = bytes(range(256)) * (12 * 2**12)
    with store.writing("curation") as output:
        (output / "large").write_bytes(data)
        artifact = store.publish(output, manifest_of(output))
    key = next(name for name in contents.names() if name.endswith("/large"))
    tag = client(contents.endpoint).head_object(Bucket=BUCKET, Key=f"{contents.prefix}/{key}")["ETag"]
    assert tag.strip('"').endswith("-3")  # S3's tag of an object that came in three parts
    assert (elsewhere.local(artifact) / "large").read_bytes() == data


def test_what_was_published_is_not_fetched_again(
    store: ObjectArtifactStore, elsewhere: ObjectArtifactStore, contents: Objects
) -> None:
    artifact = publish(store)
    elsewhere.local(artifact)
    contents.remove(artifact, "a.txt")
    for machine in (store, elsewhere):
        assert (machine.local(artifact) / "a.txt").read_text() == "text"


def test_only_the_damaged_file_of_a_copy_is_fetched_again(store: ObjectArtifactStore, contents: Objects) -> None:
    artifact = publish(store)
    copy = store.copies / artifact.uri
    (copy / "a.txt").write_text("tent")
    (copy / "empty").unlink()
    contents.remove(artifact, "metrics/n.parquet")
    assert (store.local(artifact) / "a.txt").read_text() == "text"
    assert (copy / "empty").read_bytes() == b""


def test_a_copy_of_some_files_grows_and_is_not_taken_for_the_artifact(
    store: ObjectArtifactStore, elsewhere: ObjectArtifactStore, contents: Objects
) -> None:
    artifact, here = publish(store), LocalArtifactStore(elsewhere.copies)
    copy = elsewhere.local(artifact, only=("a.txt",))
    assert [path.name for path in copy.rglob("*")] == ["a.txt"]
    contents.remove(artifact, "a.txt")
    elsewhere.local(artifact, only=("a.txt", "empty"))
    assert sorted(path.name for path in copy.rglob("*")) == ["a.txt", "empty"]
    contents.remove(artifact, "empty")
    assert list(here.artifacts()) == []
    assert here.find("curation", KEY) is None
    assert elsewhere.local(artifact) == copy
    assert list(here.artifacts()) == [artifact]
    assert here.differences(artifact) == []
    assert not any(elsewhere.copies.glob("writing/*"))


def test_a_copy_of_another_content_is_not_mixed_with_this_one(store: ObjectArtifactStore, elsewhere: ObjectArtifactStore) -> None:
    elsewhere.local(publish(store, text="former text"))
    artifact = publish(store)
    copy = elsewhere.local(artifact, only=("metrics/*",))
    assert sorted(path.name for path in copy.rglob("*.*")) == ["n.parquet"]
    assert (elsewhere.local(artifact) / "a.txt").read_text() == "text"


def test_each_byte_is_fetched_once_and_hashed_once_however_many_steps_read_it(
    store: ObjectArtifactStore, elsewhere: ObjectArtifactStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a run on a machine that has nothing yet; `tests/end_to_end/test_bytes.py` counts a whole one."""
    corpus, tokens, hashings = publish(store), publish(store, step="token_shards"), counted_hashings(monkeypatch)
    proxy = CountingProxy(endpoint)
    with proxy.serving() as url:
        machine = replace(elsewhere, endpoint=url)
        for artifact, only in ((corpus, ("metrics/*",)), (corpus, ("*.txt", "metrics/*")), (tokens, ("a.txt",)), (tokens, ())):
            for _ in range(2):
                machine.local(artifact, only=only)
    fetched = {Path(key).name: sizes for key, sizes in proxy.files().items() if corpus.uri in key}
    assert fetched == {"a.txt": [4], "n.parquet": [len((store.local(corpus) / "metrics" / "n.parquet").read_bytes())]}
    assert {len(sizes) for sizes in proxy.files().values()} == {1}
    assert len(proxy.files()) == 5
    assert hashings == []  # but as they came


def test_who_makes_equal_content_again_fetches_it_once_to_compare_it(
    store: ObjectArtifactStore, elsewhere: ObjectArtifactStore, endpoint: str
) -> None:
    publish(store)
    proxy = CountingProxy(endpoint)
    with proxy.serving() as url:
        machine = replace(elsewhere, endpoint=url)
        artifact = publish(machine)
        assert (machine.local(artifact) / "a.txt").read_text() == "text"
    assert {Path(key).name: len(sizes) for key, sizes in proxy.files().items()} == {"a.txt": 1, "empty": 1, "n.parquet": 1}


def test_a_manifest_is_sent_again_only_when_it_has_changed(store: ObjectArtifactStore, endpoint: str) -> None:
    proxy = CountingProxy(endpoint)
    with proxy.serving() as url:
        machine = replace(store, endpoint=url)
        for text in ("text", "other"):
            artifact = publish(store, text=text)
            for _ in range(3):
                assert machine.find("curation", KEY) == artifact
        store.delete(artifact)
        assert machine.find("curation", KEY) is None
    sent = {key.rpartition("/")[2]: [] for key in proxy.fetched}
    for key, sizes in proxy.fetched.items():
        sent[key.rpartition("/")[2]].append(len(sizes))
    assert sent == {MANIFEST: [1, 1], "current.json": [2]}


def _open_often(store: ObjectArtifactStore, artifact: Artifact, patterns: list[str]) -> None:
    """What one of two processes does."""
    for _ in range(3):
        for pattern in patterns:
            assert (store.local(artifact, only=(pattern,)) / pattern).is_file()
        store.local(artifact)


def test_two_processes_grow_one_copy_at_once(store: ObjectArtifactStore, elsewhere: ObjectArtifactStore) -> None:
    artifact = publish(store)
    both = [
        processes.started(_open_often, elsewhere, artifact, patterns) for patterns in (["a.txt", "empty"], ["empty", "a.txt"])
    ]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    elsewhere.local(artifact)
    assert LocalArtifactStore(elsewhere.copies).differences(artifact) == []


def _publish_when_told(store: ObjectArtifactStore, told: "multiprocessing.synchronize.Event") -> None:
    told.wait()
    publish(store, text="other")


def _publish_through(proxy: KillingProxy, store: ObjectArtifactStore) -> None:
    """Publish in a process of its own, which the proxy may kill."""
    told = processes.server().Event()
    with proxy.serving() as url:
        process = processes.started(_publish_when_told, replace(store, endpoint=url), told)
        proxy.victim = process.pid or 0
        told.set()
        process.join()
    assert process.exitcode == (-9 if proxy.killed else 0)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("remake", [False, True], ids=["new", "remade"])
def test_a_writer_killed_at_any_request_leaves_a_whole_artifact_or_none(
    store: ObjectArtifactStore, elsewhere: ObjectArtifactStore, endpoint: str, before: bool, remake: bool, tmp_path: Path
) -> None:
    fatal, killed = 0, True
    while killed:
        fatal += 1
        attempt = replace(store, root=f"{store.root}/{fatal}")
        former = publish(attempt) if remake else None
        proxy = KillingProxy(endpoint, fatal=fatal, before=before)
        _publish_through(proxy, attempt)
        killed = proxy.killed
        artifact = attempt.find("curation", KEY)
        assert all(attempt.differences(each) == [] for each in attempt.artifacts())
        assert not remake or artifact is not None
        again = publish(attempt, text="other")
        assert attempt.find("curation", KEY) == again
        assert killed or (artifact == again != former)
    assert fatal > 6  # every request of a publication was a moment to be killed at


def test_what_a_killed_writer_left_is_removed_when_its_time_is_up(
    store: ObjectArtifactStore, contents: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    former, artifact = publish(store, text="former"), publish(store, page="page")
    without_manifest = replace(artifact, uri=f"{artifact.uri.rpartition('/')[0]}/{'f' * 16}")
    for name in ("a.txt", "metrics/manifest.json"):
        contents.write(without_manifest, name, b"half")
    contents.write(artifact, f"{'f' * 16}/page.html", b"of a writer of equal content")
    publish(store, started="2")
    assert contents.read(without_manifest, "a.txt") == b"half"
    monkeypatch.setattr(storage, "ABANDONED", timedelta(seconds=-1))
    publish(store, started="3")
    assert not [name for name in contents.names() if "f" * 16 in name]
    assert store.differences(former) == store.differences(artifact) == []
    assert store.find("curation", KEY) == artifact
    assert len(store.attempts(artifact)) == 2


def test_what_a_step_keeps_for_other_machines_goes_when_it_publishes(store: ObjectArtifactStore, contents: Objects) -> None:
    for step in ("curation", "tokenizer"):
        key = f"{store.remote_scratch(step, KEY).url.removeprefix(f's3://{BUCKET}/')}/latest"
        client(contents.endpoint).put_object(Bucket=BUCKET, Key=key, Body=b"step-00000005")
    publish(store)
    assert contents.outside_artifacts() == [f"scratch/tokenizer/{KEY[:16]}/latest"]


def test_a_deleted_artifact_leaves_no_object_and_no_copy(store: ObjectArtifactStore, contents: Objects) -> None:
    store.delete(publish(store))
    assert contents.names() == []
    assert not [path for path in store.copies.rglob("*") if path.is_file()]


def test_a_missing_bucket_is_refused_before_the_work(store: ObjectArtifactStore) -> None:
    with pytest.raises(StoreError, match=r"^s3://absent/x/artifacts/curation: NoSuchBucket; check"):
        publish(replace(store, root="s3://absent/x"))


@pytest.mark.parametrize("method", ["find", "writing", "artifacts"])
def test_a_store_that_does_not_answer_is_an_error_and_not_an_empty_store(
    method: str, store: ObjectArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_of_objects, "RETRY", bucket_of_objects.RETRY | {"max_retries": 1})
    monkeypatch.setenv("LONGRUN_PATIENCE", "0")
    silent = replace(store, endpoint=f"http://127.0.0.1:{free_port()}")
    calls = {
        "find": lambda: silent.find("curation", KEY),
        "writing": lambda: publish(silent),
        "artifacts": lambda: list(silent.artifacts()),
    }
    with pytest.raises(StoreError, match=r"object store s3://.* did not answer .*check the store's address") as caught:
        calls[method]()
    assert "\n" not in str(caught.value)


def test_a_failed_upload_leaves_the_former_artifact(store: ObjectArtifactStore) -> None:
    former = publish(store)
    with store.writing("curation") as output:
        fill(output, "other")
        manifest = manifest_of(output)
        (output / "a.txt").unlink()
        with pytest.raises(StoreError):
            store.publish(output, manifest)
    assert store.find("curation", KEY) == former
    assert store.differences(former) == []


@pytest.fixture
def dying(tmp_path: Path) -> Iterator[Server]:
    """A server with the bucket that keeps what it has when it is killed."""
    with durable_object_store(tmp_path).running() as server:
        client(server.url).create_bucket(Bucket=BUCKET)
        yield server


class _Restart(logging.Handler):
    """Starts the server when it is said that it is waited for."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server, self.said = server, list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if "does not answer" in self.said[-1]:
            self.server.start()


def test_every_method_waits_for_a_store_that_was_killed_and_comes_back(
    endpoint: str, dying: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_of_objects, "RETRY", bucket_of_objects.RETRY | {"max_retries": 1})
    store = ObjectArtifactStore(root=f"s3://{BUCKET}/x", copies=tmp_path / "a", shared=tmp_path, endpoint=dying.url)
    elsewhere = replace(store, copies=tmp_path / "b")
    restart = _Restart(dying)
    monkeypatch.setattr(retry.logger, "handlers", [restart])
    artifact = publish(store)
    calls: dict[str, Callable[[], object]] = {
        "publish": lambda: publish(store),
        "find": lambda: store.find("curation", KEY) == artifact,
        "local": lambda: (elsewhere.local(artifact) / "a.txt").read_text() == "text",
        "differences": lambda: store.differences(artifact) == [],
        "artifacts": lambda: list(store.artifacts()) == [artifact],
        "delete": lambda: store.delete(artifact) is None and list(store.artifacts()) == [],
    }
    for name, call in calls.items():
        dying.kill()
        restart.said.clear()
        assert call(), name
        waiting, back = restart.said
        assert waiting.startswith(f"object store {store.root} does not answer"), name
        assert "answers again" in back


def test_a_publication_is_whole_whichever_answer_was_lost(store: ObjectArtifactStore, endpoint: str) -> None:
    number, lost = 0, True
    while lost:
        number += 1
        attempt = replace(store, root=f"{store.root}/{number}")
        proxy = LosingProxy(endpoint, fatal=number)
        with proxy.serving() as url:
            artifact = publish(replace(attempt, endpoint=url))
        lost = proxy.killed
        assert list(attempt.artifacts()) == [artifact]
        assert attempt.differences(artifact) == []
    assert number > 6  # every request of a publication was one whose answer was lost
