"""What every artifact store promises: a suite that the tests of each implementation inherit."""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import FORMAT_VERSION, MANIFEST, Artifact, Making, Manifest
from components.errors import DamagedArtifact, MissingArtifact, NewerFormat
from components.ports import ArtifactStore, LocalArtifactStore, verification
from components.ports.store import records_of, selected
from components.ports.verification import HASHED, VerifiedFiles, file_clock
from tests import processes

KEY = "0123456789abcdef" * 4


class Contents(Protocol):
    """What is really kept, read and spoilt behind the store's back. Names are those of the manifest, and `manifest.json`."""

    def read(self, artifact: Artifact, name: str) -> bytes: ...

    def write(self, artifact: Artifact, name: str, data: bytes) -> None: ...

    def remove(self, artifact: Artifact, name: str) -> None: ...

    def outside_artifacts(self) -> list[str]:
        """Every file that is kept, but for those below `artifacts/`."""
        ...


def fill(output: Path, text: str = "text", page: str = "") -> None:
    (output / "metrics").mkdir()
    (output / "a.txt").write_text(text, encoding="utf-8")
    (output / "empty").write_bytes(b"")
    pq.write_table(pa.table({"n": [1, 2, 3]}), output / "metrics" / "n.parquet")
    if page:
        (output / "page.html").write_text(page, encoding="utf-8")


def manifest_of(output: Path, key: str = KEY, step: str = "curation", started: str = "") -> Manifest:
    return Manifest(
        step=step,
        kind="Corpus",
        cache_key=key,
        config={},
        code_digest="c",
        environment_digest="e",
        files=records_of(output),
        making=Making(started=started),
    )


def publish(
    store: ArtifactStore, *, key: str = KEY, step: str = "curation", text: str = "text", page: str = "", started: str = ""
) -> Artifact:
    with store.writing(step) as output:
        fill(output, text, page)
        return store.publish(output, manifest_of(output, key, step, started))


def publish_often(
    store: ArtifactStore, text: str, started: str, rounds: int, barrier: "multiprocessing.synchronize.Barrier"
) -> None:
    """What one of two processes does: each handle that it gets must stay good."""
    barrier.wait()
    for number in range(rounds):
        artifact = publish(store, text=text, page=started, started=f"{started} {number}")
        store.local(artifact)


DAMAGE: dict[str, tuple[Callable[[Contents, Artifact], object], str]] = {
    "deleted file": (lambda kept, artifact: kept.remove(artifact, "a.txt"), "a.txt: missing"),
    "truncated file": (lambda kept, artifact: kept.write(artifact, "a.txt", b"tex"), "a.txt: 3 bytes, the manifest says 4"),
    "grown file": (lambda kept, artifact: kept.write(artifact, "empty", b"x"), "empty: 1 bytes, the manifest says 0"),
    "changed byte": (lambda kept, artifact: kept.write(artifact, "a.txt", b"tent"), "a.txt: sha256 differs from the manifest"),
    "file nobody listed": (lambda kept, artifact: kept.write(artifact, "b.txt", b"x"), "b.txt: not in the manifest"),
}


def next_run() -> None:
    """Start another run, as soon as a file that is written now would have a later time than all before."""
    now = time.time_ns()
    while file_clock() <= now:
        pass
    HASHED.start_run()


def change(path: Path) -> None:
    """Change a file of the text "text" and of no other size in place, and give it its time back."""
    status = path.stat()
    path.write_text("tent")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_rename(path: Path) -> None:
    """Put another file of the same size and time where a file of the text "text" is."""
    other = path.with_name("other")
    other.write_text("tent")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


def replace_by_link(path: Path) -> None:
    """The same by a hard link."""
    other = path.parent.parent / "other"
    other.write_text("tent")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    path.unlink()
    path.hardlink_to(other)


SPOILT_COPIES = {"in place": change, "by rename": replace_by_rename, "by a hard link": replace_by_link}
"""How a file comes to hold other text with the same size and mtime."""


def change_and_remember(store: LocalArtifactStore, artifact: Artifact) -> None:
    """Change a byte of `a.txt` and have this machine remember that it was verified: only who hashes again finds it."""
    path = store.root / artifact.uri / "a.txt"
    path.write_text("tent")
    next_run()
    (record,) = selected(store.manifest(artifact.uri), ["a.txt"], "")
    believed = dataclasses.replace(record, sha256=verification.sha256_of_file(path))
    assert not VerifiedFiles(store.root, artifact).differences([believed])
    assert store.local(artifact)


def counted_hashings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each file that is hashed from now on, as often as it is."""
    own, names = verification.sha256_of_file, list[str]()

    def counted(path: Path) -> str:
        names.append(path.name)
        return own(path)

    monkeypatch.setattr(verification, "sha256_of_file", counted)
    return names


class ArtifactStoreSuite:
    """Inherit it and give `store`, `elsewhere` (the same store as another machine sees it) and `contents`."""

    rounds = 20
    """How often two writers publish against one another."""

    @pytest.fixture
    def hashings(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The name of each file that is hashed, as often as it is."""
        return counted_hashings(monkeypatch)

    def test_what_was_published_is_found_by_step_and_key(self, store: ArtifactStore) -> None:
        artifact = publish(store)
        assert store.find("curation", KEY) == artifact
        assert store.manifest(artifact.uri).digest == artifact.digest
        assert (store.local(artifact) / "a.txt").read_text(encoding="utf-8") == "text"
        assert list(store.artifacts()) == [artifact]
        assert store.differences(artifact) == []

    def test_another_step_or_key_finds_nothing(self, store: ArtifactStore) -> None:
        publish(store)
        assert store.find("tokenizer", KEY) is None
        assert store.find("curation", "f" * 64) is None

    def test_a_key_that_only_begins_alike_finds_nothing(self, store: ArtifactStore) -> None:
        publish(store)
        assert store.find("curation", KEY[:16] + "f" * 48) is None

    def test_nothing_stays_of_a_write_that_failed(self, store: ArtifactStore, contents: Contents) -> None:
        def fail() -> None:
            with store.writing("curation") as output:
                fill(output)
                raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            fail()
        assert contents.outside_artifacts() == []
        assert store.find("curation", KEY) is None

    def test_nothing_stays_of_a_write_that_was_not_published(self, store: ArtifactStore, contents: Contents) -> None:
        with store.writing("curation") as output:
            fill(output)
        assert contents.outside_artifacts() == []

    def test_scratch_is_removed_when_its_step_publishes(self, store: ArtifactStore) -> None:
        scratch = store.scratch("curation", KEY)
        scratch.mkdir(parents=True)
        (scratch / "checkpoint").write_bytes(b"x")
        publish(store)
        assert not scratch.exists()

    def test_other_content_under_the_same_key_has_its_own_directory_and_the_former_stays(
        self, store: ArtifactStore, elsewhere: ArtifactStore
    ) -> None:
        former, artifact = publish(store), publish(store, text="other")
        assert store.find("curation", KEY) == artifact
        assert list(store.artifacts()) == sorted((former, artifact), key=lambda artifact: artifact.uri)
        for machine in (store, elsewhere):
            assert (machine.local(former) / "a.txt").read_text(encoding="utf-8") == "text"
            assert (machine.local(artifact, only=("a.txt",)) / "a.txt").read_bytes() == b"other"
        assert store.differences(former) == store.differences(artifact) == []
        assert publish(store, started="later") == former
        assert store.find("curation", KEY) == former

    def test_equal_content_made_again_leaves_the_artifact_untouched_and_is_kept_as_an_attempt(
        self, store: ArtifactStore, contents: Contents
    ) -> None:
        artifact = publish(store, page="first", started="1")
        written = contents.read(artifact, MANIFEST)
        assert [publish(store, page=page, started=page) for page in ("3", "2")] == [artifact, artifact]
        assert store.find("curation", KEY) == artifact
        assert contents.read(artifact, MANIFEST) == written
        assert (store.local(artifact, only=("page.html",)) / "page.html").read_bytes() == b"first"
        assert store.differences(artifact) == []
        attempts = store.attempts(artifact)
        assert [attempt.making.started for attempt in attempts] == ["2", "3"]
        assert {attempt.content_digest for attempt in attempts} == {artifact.content}
        assert len({artifact.digest, *(attempt.digest for attempt in attempts)}) == 3
        assert list(store.artifacts()) == [artifact]

    def test_every_publication_of_a_key_counts_as_an_attempt(self, store: ArtifactStore) -> None:
        assert store.count_attempts("curation", KEY) == 0
        publish(store, started="1")
        publish(store, started="2")
        publish(store, text="other", started="3")
        assert store.count_attempts("curation", KEY) == 3
        assert store.count_attempts("tokenizer", KEY) == 0

    @pytest.mark.parametrize("damage", ["deleted file", "truncated file", "grown file", "changed byte"])
    def test_equal_content_mends_what_was_damaged_and_the_evidence_stays(
        self, store: ArtifactStore, elsewhere: ArtifactStore, contents: Contents, damage: str
    ) -> None:
        artifact = publish(store, page="first")
        DAMAGE[damage][0](contents, artifact)
        assert publish(store, page="second") == artifact
        assert store.differences(artifact) == []
        assert (elsewhere.local(artifact, only=("page.html",)) / "page.html").read_bytes() == b"first"

    def test_where_the_record_was_damaged_the_artifact_is_made_anew(self, store: ArtifactStore, contents: Contents) -> None:
        artifact = publish(store, started="1")
        contents.write(artifact, MANIFEST, contents.read(artifact, MANIFEST).replace(b'"1"', b'"7"'))
        again = publish(store, started="2")
        assert again.content == artifact.content
        assert again.digest != artifact.digest
        assert store.find("curation", KEY) == again
        assert store.differences(again) == []

    def test_a_changed_byte_of_an_attempt_is_refused(self, store: ArtifactStore, contents: Contents) -> None:
        artifact = publish(store, started="1")
        publish(store, started="2")
        key, _, content = artifact.uri.rpartition("/")
        (attempt,) = store.attempts(artifact)
        beside = Artifact(uri=f"{key}/attempts/{content}", digest="")
        name = f"{attempt.digest[:16]}.json"
        contents.write(beside, name, contents.read(beside, name).replace(b'"2"', b'"3"'))
        with pytest.raises(DamagedArtifact, match=r"attempts/.*changed after it was written"):
            store.attempts(artifact)

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"content_digest": "../../../../x"}', b'{"content_digest": 3}'])
    def test_what_names_the_current_content_is_not_followed_where_it_is_damaged(
        self, store: ArtifactStore, contents: Contents, data: bytes
    ) -> None:
        artifact = publish(store)
        contents.write(Artifact(uri=artifact.uri.rpartition("/")[0], digest=""), "current.json", data)
        assert store.find("curation", KEY) is None
        assert publish(store, started="2") == artifact
        assert store.find("curation", KEY) == artifact

    def test_another_machine_reads_what_this_one_published(self, store: ArtifactStore, elsewhere: ArtifactStore) -> None:
        artifact = publish(store)
        assert elsewhere.find("curation", KEY) == artifact
        directory = elsewhere.local(artifact)
        assert (directory / "a.txt").read_text(encoding="utf-8") == "text"
        assert pq.read_table(directory / "metrics" / "n.parquet").num_rows == 3
        assert elsewhere.local(artifact) == directory

    def test_one_file_is_read_without_the_others(
        self, store: ArtifactStore, elsewhere: ArtifactStore, contents: Contents
    ) -> None:
        artifact = publish(store)
        contents.remove(artifact, "empty")
        for machine in (store, elsewhere):
            assert (machine.local(artifact, only=("a.txt",)) / "a.txt").read_bytes() == b"text"
        with pytest.raises(DamagedArtifact, match="digest"):
            store.local(dataclasses.replace(artifact, digest="0" * 64), only=("a.txt",))

    def test_of_the_files_that_are_asked_for_others_may_be_damaged(
        self, store: ArtifactStore, elsewhere: ArtifactStore, contents: Contents
    ) -> None:
        artifact = publish(store)
        contents.write(artifact, "a.txt", b"tent")
        contents.remove(artifact, "empty")
        assert pq.read_table(elsewhere.local(artifact, only=("metrics/*",)) / "metrics" / "n.parquet").num_rows == 3
        for only in (("a.txt",), ("*.txt",), ("metrics/*", "a*"), ()):
            with pytest.raises(DamagedArtifact, match=r"a\.txt: sha256 differs .*--fresh curation$"):
                elsewhere.local(artifact, only=only)
        with pytest.raises(DamagedArtifact, match="empty: missing"):
            elsewhere.local(artifact, only=("empty",))

    def test_a_pattern_without_a_file_is_refused_and_what_there_is_is_named(self, store: ArtifactStore) -> None:
        artifact = publish(store)
        with pytest.raises(
            MissingArtifact, match=r"the manifest of curation has no file 'b\*'; its files: a\.txt, empty, metrics/n"
        ):
            store.local(artifact, only=("a.txt", "b*"))
        with pytest.raises(MissingArtifact, match=r"no file 'metrics'"):
            store.local(artifact, only=("metrics",))

    def test_files_asked_for_one_after_the_other_are_in_one_directory(
        self, store: ArtifactStore, elsewhere: ArtifactStore
    ) -> None:
        artifact = publish(store)
        directory = elsewhere.local(artifact, only=("a.txt",))
        assert elsewhere.local(artifact, only=("metrics/*",)) == directory
        assert (directory / "a.txt").read_text() == "text"
        assert (directory / "metrics" / "n.parquet").is_file()
        assert elsewhere.local(artifact) == directory
        assert (directory / "empty").is_file()

    def test_a_file_of_this_run_is_hashed_once(self, store: ArtifactStore, elsewhere: ArtifactStore, hashings: list[str]) -> None:
        artifact = publish(store)
        for machine in (store, elsewhere, store, elsewhere):
            machine.local(artifact, only=("a.txt", "metrics/*"))
            machine.local(artifact)
        assert sorted(hashings) == ["a.txt", "empty", "n.parquet"]

    def test_a_file_of_an_earlier_run_is_hashed_once_on_a_machine(self, store: ArtifactStore, hashings: list[str]) -> None:
        artifact = publish(store)
        for only, expected in ((("a.txt",), ["a.txt"]), (("a.txt", "empty"), ["empty"]), ((), ["n.parquet"]), ((), [])):
            next_run()
            hashings.clear()
            store.local(artifact, only=only)
            assert hashings == expected

    def test_what_was_written_in_a_run_is_not_remembered_beyond_it(self, store: ArtifactStore, hashings: list[str]) -> None:
        artifact = publish(store)
        store.local(artifact)
        next_run()
        hashings.clear()
        store.local(artifact)
        assert sorted(hashings) == ["a.txt", "empty", "n.parquet"]

    @pytest.mark.parametrize("runs", [0, 1, 2])
    @pytest.mark.parametrize("way", SPOILT_COPIES)
    def test_other_bytes_with_the_size_and_time_of_the_former_are_not_handed_out(
        self, store: ArtifactStore, way: str, runs: int
    ) -> None:
        artifact = publish(store)
        directory = store.local(artifact)
        for _ in range(runs):
            next_run()
            store.local(artifact)
        SPOILT_COPIES[way](directory / "a.txt")
        with contextlib.suppress(DamagedArtifact):
            assert (store.local(artifact, only=("a.txt",)) / "a.txt").read_text() == "text"

    def test_two_writers_of_one_key_leave_one_whole_artifact(self, store: ArtifactStore, contents: Contents) -> None:
        barrier = processes.server().Barrier(2)
        writers = [processes.started(publish_often, store, text, text, self.rounds, barrier) for text in ("one", "other")]
        for writer in writers:
            writer.join()
        assert [writer.exitcode for writer in writers] == [0, 0]
        artifact = store.find("curation", KEY)
        assert artifact is not None
        both = list(store.artifacts())
        assert len(both) == 2
        assert artifact in both
        assert [store.differences(each) for each in both] == [[], []]
        assert contents.outside_artifacts() == []

    def test_two_writers_of_equal_content_leave_one_artifact_and_every_handle_good(self, store: ArtifactStore) -> None:
        barrier = processes.server().Barrier(2)
        writers = [processes.started(publish_often, store, "text", name, self.rounds, barrier) for name in ("one", "other")]
        for writer in writers:
            writer.join()
        assert [writer.exitcode for writer in writers] == [0, 0]
        (artifact,) = store.artifacts()
        assert store.differences(artifact) == []
        assert len(store.attempts(artifact)) == 2 * self.rounds - 1

    @pytest.mark.parametrize("damage", DAMAGE)
    def test_every_difference_from_the_manifest_is_named(self, store: ArtifactStore, contents: Contents, damage: str) -> None:
        artifact = publish(store)
        spoil, message = DAMAGE[damage]
        spoil(contents, artifact)
        assert store.differences(artifact) == [message]

    def test_a_wrong_size_does_not_hide_a_changed_byte_elsewhere(self, store: ArtifactStore, contents: Contents) -> None:
        artifact = publish(store)
        contents.write(artifact, "a.txt", b"tent")
        contents.write(artifact, "empty", b"x")
        assert [message.partition(":")[0] for message in store.differences(artifact)] == ["a.txt", "empty"]

    @pytest.mark.parametrize("damage", ["deleted file", "truncated file"])
    def test_an_artifact_cut_short_is_neither_found_nor_handed_out(
        self, store: ArtifactStore, elsewhere: ArtifactStore, contents: Contents, damage: str
    ) -> None:
        artifact = publish(store)
        spoil, message = DAMAGE[damage]
        spoil(contents, artifact)
        assert store.find("curation", KEY) is None
        with pytest.raises(DamagedArtifact, match=rf"{message}; make it again with --fresh curation$"):
            elsewhere.local(artifact)

    def test_a_changed_byte_is_not_handed_out(self, store: ArtifactStore, elsewhere: ArtifactStore, contents: Contents) -> None:
        artifact = publish(store)
        contents.write(artifact, "a.txt", b"tent")
        with pytest.raises(DamagedArtifact, match=r"a\.txt: sha256 differs"):
            elsewhere.local(artifact)

    def test_an_edited_manifest_is_not_the_one_that_was_pinned(self, store: ArtifactStore, contents: Contents) -> None:
        artifact = publish(store)
        edited = dataclasses.replace(store.manifest(artifact.uri), figures={"documents": 9})
        contents.write(artifact, MANIFEST, edited.to_bytes())
        with pytest.raises(DamagedArtifact, match=r"manifest\.json: digest [0-9a-f]{12}, expected"):
            store.local(artifact)
        assert store.differences(artifact)[0].startswith(f"{MANIFEST}: digest")

    def test_without_a_manifest_there_is_no_artifact(self, store: ArtifactStore, contents: Contents) -> None:
        artifact = publish(store)
        contents.remove(artifact, MANIFEST)
        assert store.find("curation", KEY) is None
        assert list(store.artifacts()) == []
        with pytest.raises(MissingArtifact, match="no finished artifact here"):
            store.local(artifact)

    def test_an_unreadable_manifest_hides_no_other_artifact(self, store: ArtifactStore, contents: Contents) -> None:
        first, second = publish(store), publish(store, step="tokenizer")
        contents.write(first, MANIFEST, b"{")
        assert list(store.artifacts()) == [second]
        assert store.find("curation", KEY) is None
        assert publish(store) == first
        assert list(store.artifacts()) == [first, second]

    def test_a_manifest_of_a_newer_format_is_refused_and_not_made_again(self, store: ArtifactStore, contents: Contents) -> None:
        artifact = publish(store)
        newer = json.loads(contents.read(artifact, MANIFEST)) | {"format_version": FORMAT_VERSION + 1}
        contents.write(artifact, MANIFEST, json.dumps(newer).encode())
        for look in (lambda: store.find("curation", KEY), lambda: store.local(artifact), lambda: list(store.artifacts())):
            with pytest.raises(NewerFormat, match="upgrade it"):
                look()

    def test_a_deleted_artifact_is_gone(self, store: ArtifactStore) -> None:
        kept, artifact = publish(store, step="tokenizer"), publish(store)
        store.delete(artifact)
        assert store.find("curation", KEY) is None
        assert list(store.artifacts()) == [kept]
        store.delete(artifact)
