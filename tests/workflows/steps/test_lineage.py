"""What an artifact was made from, read from the manifests of a home and of a bucket."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.artifacts import Artifact
from components.ports import ArtifactStore, LocalArtifactStore
from infra.settings import Settings
from tests.components.ports.store_suite import fill, manifest_of
from tests.workflows.conftest import published_corpus
from workflows.steps.lineage import below, raw_differences, tree


def made_from(store: ArtifactStore, step: str, **inputs: Artifact) -> Artifact:
    with store.writing(step) as output:
        fill(output, step)
        return store.publish(output, replace(manifest_of(output, step=step), inputs=inputs))


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path)


def test_each_artifact_below_comes_once_however_many_use_it(store: LocalArtifactStore) -> None:
    corpus = made_from(store, "curation")
    tokenizer = made_from(store, "tokenizer", corpus=corpus)
    shards = made_from(store, "token_shards", corpus=corpus, tokenizer=tokenizer)
    artifacts = list(below(store, shards))
    assert artifacts[0] == shards
    assert sorted(artifact.digest for artifact in artifacts) == sorted(a.digest for a in (corpus, tokenizer, shards))


def test_a_tree_holds_every_input_with_its_own(store: LocalArtifactStore) -> None:
    corpus = made_from(store, "curation")
    tokenizer = made_from(store, "tokenizer", corpus=corpus)
    shards = tree(store, made_from(store, "token_shards", corpus=corpus, tokenizer=tokenizer))
    assert (shards["step"], sorted(shards["inputs"])) == ("token_shards", ["corpus", "tokenizer"])
    assert shards["inputs"]["tokenizer"]["inputs"]["corpus"] == shards["inputs"]["corpus"]
    assert shards["inputs"]["corpus"]["digest"] == corpus.digest
    assert shards["raw"] == []


def test_lineage_reads_the_list_of_raw_files_and_not_the_corpus(bucket_home: Settings, raw: Path) -> None:
    artifact = published_corpus(bucket_home, raw)
    other = replace(bucket_home, home=bucket_home.home.with_name("other"))
    corpus = tree(other.store, artifact)
    assert [(source["source"], source["files"], source["bytes"]) for source in corpus["raw"]] == [("mine", 1, 5)]
    assert [path.name for path in other.home.rglob("*") if path.is_file()] == ["raw.parquet"]


def test_a_changed_raw_file_is_named_from_another_home(bucket_home: Settings, raw: Path) -> None:
    artifact = published_corpus(bucket_home, raw)
    store = replace(bucket_home, home=bucket_home.home.with_name("other")).store
    assert raw_differences(store, artifact) == (1, [])
    (raw / "a.txt").write_text("other")
    count, (difference,) = raw_differences(store, artifact)
    assert count == 1
    assert "sha256 differs from what was read" in difference


def test_a_missing_raw_file_is_named(store: LocalArtifactStore, tmp_path: Path, raw: Path) -> None:
    artifact = published_corpus(Settings(home=tmp_path), raw)
    (raw / "a.txt").unlink()
    count, (difference,) = raw_differences(store, artifact)
    assert count == 1
    assert difference.startswith(f"raw {raw / 'a.txt'}: ")
