"""What no registered model needs: listed, deleted, and kept where a run is named."""

from pathlib import Path

import pytest

from infra.settings import Settings
from tests.components.ports.store_suite import publish
from tests.workflows.conftest import published_corpus
from workflows.commands.gc import Waste, delete_artifacts, unneeded
from workflows.steps.journal import open_journal


def test_gc_deletes_copies_in_the_home_and_nothing_in_the_bucket(bucket_home: Settings, raw: Path) -> None:
    artifact = published_corpus(bucket_home, raw)
    waste = unneeded(bucket_home, [])
    assert [entry.uri for entry in waste] == [artifact.uri]
    delete_artifacts(bucket_home, waste)
    assert unneeded(bucket_home, []) == []
    assert bucket_home.store.differences(artifact) == []


def test_gc_deletes_copies_of_some_files_too(bucket_home: Settings, raw: Path) -> None:
    artifact = published_corpus(bucket_home, raw)
    delete_artifacts(bucket_home, unneeded(bucket_home, []))
    bucket_home.store.local(artifact, only=("shard",))
    assert unneeded(bucket_home, []) == [Waste(uri=artifact.uri, bytes=1000)]
    delete_artifacts(bucket_home, unneeded(bucket_home, []))
    assert not any((bucket_home.home / "artifacts").rglob("shard"))
    assert bucket_home.store.differences(artifact) == []


@pytest.mark.parametrize("event", ["made", "cached", "kept"])
def test_what_a_named_run_has_made_reused_or_kept_stays(tmp_path: Path, event: str) -> None:
    settings = Settings(home=tmp_path)
    needed = publish(settings.store, step="token_shards", text="needed")
    other = publish(settings.store, step="dpo", text="other")
    journal = open_journal(settings.runs)
    journal.write(event, step="token_shards", **needed.pinned)
    waste = unneeded(settings, [journal.name])
    assert [entry.uri for entry in waste] == [other.uri]
    delete_artifacts(settings, waste)
    assert list(settings.store.artifacts()) == [needed]


def test_scratch_and_unfinished_outputs_are_waste_with_their_bytes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    for directory in ("scratch/pretraining/key", "writing/curation-1"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "file").write_bytes(b"x" * 100)
    assert unneeded(settings, []) == [
        Waste(uri="scratch/pretraining/key", bytes=100),
        Waste(uri="writing/curation-1", bytes=100),
    ]


def test_a_former_content_stays_while_a_journal_refers_to_it_and_goes_with_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    former, current = publish(settings.store, text="former"), publish(settings.store, text="current")
    journal = open_journal(settings.runs)
    for artifact in (former, current):
        journal.write("made", step="curation", **artifact.pinned)
    assert [entry.uri for entry in unneeded(settings, [])] == [current.uri]
    delete_artifacts(settings, unneeded(settings, []))
    assert list(settings.store.artifacts()) == [former]
    assert unneeded(settings, []) == []
    publish(settings.store, text="current")
    (journal.directory / "events.jsonl").unlink()
    delete_artifacts(settings, unneeded(settings, []))
    assert not any((tmp_path / "artifacts").rglob("*.txt"))


def test_attempts_go_with_the_artifact_that_they_made_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    publish(settings.store, started="1")
    publish(settings.store, started="2")
    delete_artifacts(settings, unneeded(settings, []))
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []
