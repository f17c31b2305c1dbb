"""What an artifact was made from, read from the manifests of a home and of a bucket."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from components.artifacts import MANIFEST, Artifact, Making, Manifest
from components.errors import DamagedArtifact, MissingArtifact
from components.ports import ArtifactStore, LocalArtifactStore
from components.raw_files import LOCATIONS, RAW
from infra.settings import Settings
from tests.components.ports.store_suite import fill, manifest_of
from tests.workflows.conftest import published_corpus
from workflows.steps.lineage import lineage_of, raw_differences, walk


def made_from(store: ArtifactStore, step: str, **inputs: Artifact) -> Artifact:
    with store.writing(step) as output:
        fill(output, step)
        return store.publish(output, replace(manifest_of(output, step=step), inputs=inputs))


class CountedStore(LocalArtifactStore):
    """A store that counts what is read of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        object.__setattr__(self, "reads", Counter())

    reads: Counter[str]

    def manifest(self, uri: str) -> Manifest:
        self.reads[uri] += 1
        return super().manifest(uri)

    def local(self, artifact: Artifact, only: Sequence[str] = ()) -> Path:
        self.reads.update(f"{artifact.uri}/{path}" for path in only)
        self.reads[artifact.uri] -= 1  # the manifest that the store itself compares
        return super().local(artifact, only)


@pytest.fixture
def store(tmp_path: Path) -> CountedStore:
    return CountedStore(tmp_path)


@pytest.fixture
def diamond(store: CountedStore, tmp_path: Path, raw: Path) -> dict[str, Artifact]:
    """A model, the shards and the tokenizer that it was made from, and the corpus below all three."""
    corpus = published_corpus(Settings(home=tmp_path), raw)
    tokenizer = made_from(store, "tokenizer", corpus=corpus)
    shards = made_from(store, "token_shards", corpus=corpus, tokenizer=tokenizer)
    model = made_from(store, "pretraining", corpus=corpus, token_shards=shards, tokenizer=tokenizer)
    return {"pretraining": model, "token_shards": shards, "tokenizer": tokenizer, "curation": corpus}


def test_a_walk_meets_each_artifact_once_from_however_many_it_is_needed(
    store: CountedStore, diamond: dict[str, Artifact]
) -> None:
    met = [artifact for artifact, _ in walk(store, [diamond["pretraining"], diamond["token_shards"]])]
    assert met[0] == diamond["pretraining"]
    assert sorted(artifact.digest for artifact in met) == sorted(artifact.digest for artifact in diamond.values())


def test_a_lineage_holds_each_artifact_once_with_its_inputs_by_name(store: CountedStore, diamond: dict[str, Artifact]) -> None:
    lineage = lineage_of(store, diamond["pretraining"])
    assert lineage.root == diamond["pretraining"].digest
    assert {node.step: (node.evidence_digest, node.content_digest) for node in lineage.nodes()} == {
        step: (artifact.digest, artifact.content) for step, artifact in diamond.items()
    }
    names = {name: lineage.artifacts[digest].step for name, digest in lineage.artifacts[lineage.root].inputs.items()}
    assert names == {"corpus": "curation", "token_shards": "token_shards", "tokenizer": "tokenizer"}
    assert [len(node.raw) for node in lineage.nodes() if node.step == "curation"] == [1]


def test_each_manifest_and_each_list_of_raw_files_is_read_once(store: CountedStore, diamond: dict[str, Artifact]) -> None:
    store.reads.clear()
    lineage_of(store, diamond["pretraining"])
    assert +store.reads == Counter(
        [*(artifact.uri for artifact in diamond.values()), *(f"{diamond['curation'].uri}/{name}" for name in (RAW, LOCATIONS))]
    )


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (lambda path: path.unlink(), MissingArtifact, "no finished artifact here"),
        (lambda path: path.write_text("{"), DamagedArtifact, "not JSON"),
    ],
)
def test_an_artifact_whose_manifest_is_gone_or_damaged_is_named_with_what_needs_it(
    store: CountedStore, diamond: dict[str, Artifact], damage: Callable[[Path], None], kind: type[Exception], message: str
) -> None:
    uri = diamond["tokenizer"].uri
    damage(store.root / uri / MANIFEST)
    with pytest.raises(kind, match=rf"{uri}/manifest\.json: {message}.* \(tokenizer of {diamond['pretraining'].uri}\)"):
        lineage_of(store, diamond["pretraining"])


def test_a_walk_that_is_given_where_to_write_passes_a_broken_artifact_by(
    store: CountedStore, diamond: dict[str, Artifact]
) -> None:
    (store.root / diamond["tokenizer"].uri / MANIFEST).unlink()
    broken: dict[str, str] = {}
    met = [manifest.step for _, manifest in walk(store, [diamond["pretraining"]], broken)]
    assert sorted(met) == ["curation", "pretraining", "token_shards"]
    assert list(broken) == [diamond["tokenizer"].uri]
    assert f"(tokenizer of {diamond['pretraining'].uri})" in broken[diamond["tokenizer"].uri]


def test_a_lineage_through_an_artifact_that_another_has_replaced_is_refused(
    store: CountedStore, diamond: dict[str, Artifact]
) -> None:
    former = store.manifest(diamond["tokenizer"].uri)
    (store.root / diamond["tokenizer"].uri / MANIFEST).unlink()
    with store.writing("tokenizer") as output:
        fill(output, "tokenizer")
        store.publish(output, replace(former, making=Making(started="later")))
    with pytest.raises(DamagedArtifact, match=rf"{diamond['tokenizer'].uri}: manifest\.json: digest .*--fresh tokenizer"):
        lineage_of(store, diamond["pretraining"])


def test_lineage_reads_the_list_of_raw_files_and_not_the_corpus(bucket_home: Settings, raw: Path) -> None:
    artifact = published_corpus(bucket_home, raw)
    other = replace(bucket_home, home=bucket_home.home.with_name("other"))
    (corpus,) = lineage_of(other.store, artifact).nodes()
    assert [(source.source, source.files, source.bytes) for source in corpus.raw] == [("mine", 1, 5)]
    assert {path.name for path in other.home.rglob("*") if path.is_file()} == {RAW, LOCATIONS}


def test_a_changed_raw_file_is_named_from_another_home(bucket_home: Settings, raw: Path) -> None:
    artifact = published_corpus(bucket_home, raw)
    store = replace(bucket_home, home=bucket_home.home.with_name("other")).store
    assert raw_differences(store, artifact, store.manifest(artifact.uri)) == (1, [])
    (raw / "a.txt").write_text("other")
    count, (difference,) = raw_differences(store, artifact, store.manifest(artifact.uri))
    assert count == 1
    assert "has changed: its sha256 differs" in difference


def test_a_missing_raw_file_is_named(store: CountedStore, tmp_path: Path, raw: Path) -> None:
    artifact = published_corpus(Settings(home=tmp_path), raw)
    (raw / "a.txt").unlink()
    count, (difference,) = raw_differences(store, artifact, store.manifest(artifact.uri))
    assert count == 1
    assert difference.startswith(f"raw file mine/a.txt, read from {raw / 'a.txt'}: ")
