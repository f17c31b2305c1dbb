"""A home that was made by longrun 0.4.0, when manifests had format 1: what it holds is read, verified, shown and found damaged.

`tests/fixtures/home_of_format_1.tar.xz` is as that code left it: the artifacts, journal and registry of one run of the recipe
`small.py` beside it, on the two files that its sources name. Without training states and scratch.
"""

import json
import tarfile
from pathlib import Path

import pytest

from components.artifacts import MANIFEST, Artifact, Lineage, Manifest
from components.errors import DamagedArtifact
from components.ports import LocalArtifactStore
from infra.mlflow import registry, tracking
from infra.settings import Settings
from tests.paths import ROOT
from workflows.commands.gc.waste import list_waste
from workflows.commands.models import lineage_lines, list_models, model_lineage, verify_model
from workflows.steps.journal import find_journal

HOME = ROOT / "tests" / "fixtures" / "home_of_format_1.tar.xz"

STEPS = 20
"""Artifacts below the model."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The home, in a directory beside its sources, which it names by relative paths."""
    with tarfile.open(HOME) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return Settings(home=tmp_path / "home")


@pytest.fixture
def artifacts(home: Settings) -> dict[str, Artifact]:
    """The artifact of each step."""
    return {home.store.manifest(artifact.uri).step: artifact for artifact in home.store.artifacts()}


def test_every_artifact_is_listed_and_opened_and_has_one_digest_for_both(home: Settings, artifacts: dict[str, Artifact]) -> None:
    assert len(artifacts) == STEPS
    for step, artifact in artifacts.items():
        manifest = home.store.manifest(artifact.uri)
        assert (manifest.format_version, manifest.step) == (1, step)
        assert artifact.content == artifact.digest == manifest.content_digest
        assert home.store.local(artifact).is_dir()
        assert home.store.differences(artifact) == []
        assert home.store.attempts(artifact) == ()
        assert home.store.find(step, manifest.cache_key) == artifact


def test_its_model_and_its_run_are_known_by_that_digest(home: Settings, artifacts: dict[str, Artifact]) -> None:
    (model,) = list_models(home)
    assert (model["model"], model["digest"]) == ("small/1", artifacts["registration"].digest)
    assert registry.resolve(home.tracking_uri, "small@candidate").artifact == artifacts["registration"]
    made = {artifact.uri: artifact for artifact in find_journal(home.runs, "latest").artifacts()}
    assert made[artifacts["dpo"].uri] == artifacts["dpo"]


def test_its_lineage_is_shown_down_to_the_sources(home: Settings) -> None:
    lines = lineage_lines(model_lineage(home, "small"))
    assert lines[0] == "small/1 (candidate)"
    assert sum("raw letters.jsonl.gz" in line or "raw notes.jsonl.gz" in line for line in lines) == 2
    assert not any("content" in line for line in lines)


def test_the_lineage_that_travels_with_its_model_is_read_although_it_is_a_tree(
    home: Settings, artifacts: dict[str, Artifact]
) -> None:
    lineage = Lineage.read(home.store.local(artifacts["registration"]))
    assert lineage.root == artifacts["dpo"].digest
    below = {node.step: (node.evidence_digest, node.content_digest) for node in lineage.nodes()}
    assert below == {step: (artifacts[step].digest, artifacts[step].content) for step in below}
    assert {"pretraining", "token_shards", "curation"} <= below.keys()


def test_it_is_verified_with_its_sources(home: Settings) -> None:
    verified = verify_model(home, "small")
    assert (verified.artifacts, verified.raw_files, verified.differences) == (STEPS, 2, {})


@pytest.mark.parametrize("step", ["curation", "dpo", "check_corpus"])
def test_a_changed_byte_of_a_manifest_or_a_file_is_found(home: Settings, artifacts: dict[str, Artifact], step: str) -> None:
    artifact = artifacts[step]
    directory = home.home / artifact.uri
    largest = max((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    for path in (directory / MANIFEST, largest):
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[len(changed) // 2] ^= 1
        path.write_bytes(changed)
        assert list(verify_model(home, "small").differences) == [artifact.uri]
        with pytest.raises(DamagedArtifact):
            home.store.local(artifact)
        path.write_bytes(whole)


def test_a_changed_source_is_found(home: Settings, artifacts: dict[str, Artifact]) -> None:
    (home.home.parent / "notes.jsonl.gz").write_bytes(b"other")
    (difference,) = verify_model(home, "small").differences[artifacts["curation"].uri]
    assert difference.startswith("raw file notes.jsonl.gz")
    assert difference.endswith("has changed: its sha256 differs")


def test_its_manifests_are_written_as_they_were(home: Settings, artifacts: dict[str, Artifact]) -> None:
    for artifact in artifacts.values():
        data = (home.home / artifact.uri / MANIFEST).read_bytes()
        assert Manifest.from_bytes(data, artifact.uri).to_bytes() == data


def test_gc_keeps_what_its_model_needs_and_collects_it_once_it_is_not_registered(home: Settings) -> None:
    assert list_waste(home, ()).waste == ()
    for version in registry.models(home.tracking_uri):
        tracking.client(home.tracking_uri).delete_model_version(version.name, str(version.version))
    assert len(list_waste(home, ()).waste) == STEPS


def test_a_step_that_is_made_now_stands_beside_it(home: Settings, artifacts: dict[str, Artifact]) -> None:
    old = home.store.manifest(artifacts["curation"].uri)
    store = LocalArtifactStore(home.home)
    with store.writing("tokenizer") as output:
        (output / "tokenizer.json").write_text(json.dumps({}))
        made = Manifest(
            step="tokenizer",
            kind="Tokenizer",
            cache_key="f" * 64,
            config={},
            code_digest="c",
            environment_digest="e",
            inputs={"corpus": artifacts["curation"]},
        )
        artifact = store.publish(output, made)
    assert store.manifest(artifact.uri).inputs == {"corpus": old.at(artifacts["curation"].uri)}
    assert len(list(store.artifacts())) == STEPS + 1
