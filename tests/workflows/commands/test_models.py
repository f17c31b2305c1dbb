"""Registered models in a real MLflow on SQLite: listed, shown with their lineage, and hashed again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Artifact, Making
from components.errors import ConfigError, MissingArtifact
from infra.mlflow import registry, tracking
from infra.settings import Settings
from tests.components.ports.store_suite import fill, manifest_of
from workflows.commands.models import find_model, lineage_lines, list_models, model_lineage, verify_model, versions
from workflows.steps.journal import open_journal


def made_from(settings: Settings, step: str, figures: Mapping[str, Any], **inputs: Artifact) -> Artifact:
    with settings.store.writing(step) as output:
        fill(output, step)
        manifest = replace(manifest_of(output, step=step), inputs=inputs, figures=figures)
        return settings.store.publish(output, manifest)


def directory_of(settings: Settings, step: str) -> Path:
    """The directory of the artifact of a step, of which there is one."""
    (uri,) = (artifact.uri for artifact in settings.store.artifacts() if artifact.uri.startswith(f"artifacts/{step}/"))
    return settings.home / uri


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with one registered model; its checkpoint and its check were made from the same corpus."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    corpus = made_from(settings, "curation", {"documents": 3})
    checkpoint = made_from(settings, "pretraining", {}, corpus=corpus)
    model = made_from(settings, "registration", {}, checkpoint=checkpoint, corpus=corpus)
    run = tracking.start_run(settings.tracking_uri, "run")
    where = {"source": str(settings.home / model.uri), "run_id": run, "alias": "candidate"}
    registry.register(settings.tracking_uri, "small", model, **where, tags={})
    return settings


@pytest.mark.long
def test_a_model_is_listed_with_its_alias_and_directory(settings: Settings) -> None:
    (row,) = list_models(settings)
    assert (row["model"], row["aliases"]) == ("small/1", ["candidate"])
    assert (Path(row["place"]) / "manifest.json").is_file()


def test_a_lineage_shows_each_artifact_once_and_refers_to_it_where_it_is_an_input_again(settings: Settings) -> None:
    lines = lineage_lines(model_lineage(settings, "small"))
    assert lines[0] == "small/1 (candidate)"
    shown, repeated = [line for line in lines if "  Corpus  " in line and line.lstrip().startswith("curation")]
    assert "  code " in shown
    assert repeated == f"{shown.partition('  code ')[0].replace('    ', '  ')}  (see above)"
    assert sum("documents=3" in line for line in lines) == 1


def test_a_lineage_as_json_holds_each_artifact_once(settings: Settings) -> None:
    document = model_lineage(settings, "small").as_json()
    assert (document["model"], document["aliases"], document["format_version"]) == ("small/1", ["candidate"], 2)
    artifacts = document["artifacts"]
    assert sorted(artifact["step"] for artifact in artifacts.values()) == ["curation", "pretraining", "registration"]
    assert artifacts[document["root"]]["inputs"].keys() == {"checkpoint", "corpus"}


def test_verifying_names_a_missing_artifact_with_what_needs_it_and_goes_on(settings: Settings) -> None:
    checkpoint = directory_of(settings, "pretraining")
    original = (checkpoint / "manifest.json").read_bytes()
    (checkpoint / "manifest.json").unlink()
    try:
        verified = verify_model(settings, "small")
    finally:
        (checkpoint / "manifest.json").write_bytes(original)
    assert verified.artifacts == 3
    ((uri, (difference,)),) = verified.differences.items()
    assert uri == checkpoint.relative_to(settings.home).as_posix()
    assert "no finished artifact here" in difference
    assert "(checkpoint of artifacts/registration/" in difference


def test_verifying_counts_what_is_below_the_model_once_and_finds_a_flipped_byte(settings: Settings) -> None:
    verified = verify_model(settings, "small@candidate")
    assert (verified.artifacts, verified.differences) == (3, {})
    corpus = directory_of(settings, "curation")
    original = (corpus / "a.txt").read_bytes()
    (corpus / "a.txt").write_bytes(original[:-1] + b"?")
    try:
        differences = verify_model(settings, "small").differences
    finally:
        (corpus / "a.txt").write_bytes(original)
    ((uri, (difference, *_)),) = differences.items()
    assert uri == corpus.relative_to(settings.home).as_posix()
    assert "a.txt: sha256 differs" in difference


def test_verifying_counts_later_attempts_and_finds_a_changed_byte_of_one(settings: Settings) -> None:
    assert verify_model(settings, "small").attempts == 0
    (corpus,) = (artifact for artifact in settings.store.artifacts() if artifact.uri.startswith("artifacts/curation/"))
    with settings.store.writing("curation") as output:
        fill(output, "curation")
        again = replace(settings.store.manifest(corpus.uri), making=Making(started="later"))
        assert settings.store.publish(output, again) == corpus
    verified = verify_model(settings, "small")
    assert (verified.attempts, verified.differences) == (1, {})
    (path,) = (settings.home / "artifacts").glob("curation/*/attempts/*/*.json")
    path.write_bytes(path.read_bytes().replace(b"later", b"lated"))
    try:
        ((uri, (difference,)),) = verify_model(settings, "small").differences.items()
        assert uri == corpus.uri
        assert "changed after it was written" in difference
    finally:
        path.unlink()


def test_a_model_and_its_lineage_have_both_digests(settings: Settings) -> None:
    (row,) = list_models(settings)
    root = model_lineage(settings, "small").as_json()["artifacts"][row["digest"]]
    assert (root["evidence_digest"], root["content_digest"]) == (row["digest"], row["content"])
    assert row["digest"] != row["content"]


def test_a_home_without_a_registry_has_no_versions_and_gets_no_database(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert versions(settings) == []
    with pytest.raises(ConfigError, match="has no registered models; make one with: longrun run"):
        find_model(settings, "small")
    assert list(tmp_path.iterdir()) == []


def uri_of(settings: Settings, step: str) -> str:
    return directory_of(settings, step).relative_to(settings.home).as_posix()


@pytest.fixture(scope="module")
def run(settings: Settings) -> str:
    """The id of a run that made the checkpoint and was stopped before the other models."""
    journal = open_journal(settings.runs)
    for step in ("curation", "pretraining"):
        uri = uri_of(settings, step)
        journal.write("made", step=step, **settings.store.manifest(uri).at(uri).pinned)
    return journal.name


@pytest.mark.parametrize(
    "name",
    [
        "small:base",
        "small/1:pretraining",
        "small@candidate:base",
        "latest",
        "latest:base",
        "RUN",
        "RUN:pretraining",
        "URI",
        "PATH",
    ],
)
def test_a_checkpoint_is_named_by_its_model_its_run_its_uri_or_its_directory(name: str, settings: Settings, run: str) -> None:
    uri = uri_of(settings, "pretraining")
    words = {"RUN": run, "URI": uri, "PATH": str(settings.home / uri)}
    for word, value in words.items():
        name = name.replace(word, value)
    _, artifact = find_model(settings, name).in_store()
    assert artifact.uri == uri
    steps = {node["step"] for node in model_lineage(settings, name).as_json()["artifacts"].values()}
    assert steps == {"pretraining", "curation"}
    assert verify_model(settings, name).artifacts == 2


def test_any_artifact_of_a_run_has_a_lineage_but_only_a_model_has_weights(settings: Settings, run: str) -> None:
    assert model_lineage(settings, f"{run}:curation").as_json()["model"] == f"{run}:curation"
    with pytest.raises(ConfigError, match=rf"{run}:curation is a Corpus; allowed: a model \(Checkpoint or RegisteredModel\)"):
        find_model(settings, f"{run}:curation").directory(())


def test_a_directory_with_a_model_that_no_store_has_can_be_used_but_has_no_lineage(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert find_model(settings, str(tmp_path)).directory(()) == tmp_path
    with pytest.raises(ConfigError, match=r"has no manifest\.json in a store, so what it was made from is not known"):
        model_lineage(settings, str(tmp_path))


def test_a_copy_of_a_registered_model_has_the_lineage_that_it_brings(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    lineage = model_lineage(settings, "small").lineage
    lineage.without_uris().write(tmp_path)
    assert model_lineage(settings, str(tmp_path)).lineage.root == lineage.root


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("small:stf", ConfigError, "small/1: unknown step 'stf'; allowed: base, curation, pretraining, registration"),
        ("latest:curaton", ConfigError, r"unknown step 'curaton' \(did you mean 'curation'\?\)"),
        ("latest:sft", ConfigError, "no run in .* has finished step sft"),
        ("RUN:sft", ConfigError, "has not finished step sft; it has finished: curation, pretraining"),
        ("20200101:base", ConfigError, "matches 0 runs"),
        ("small/2", MissingArtifact, "has no version '2'; it has 1"),
        ("artifacts/dpo/0/0", MissingArtifact, "no finished artifact here"),
        ("s3://bucket/elsewhere", ConfigError, "not the URI of an artifact; allowed: s3://…/artifacts/STEP/KEY/CONTENT"),
        ("/nowhere", MissingArtifact, "/nowhere: no such directory"),
        ("~", ConfigError, "no config.json; allowed: the directory of a model"),
    ],
)
def test_a_model_that_does_not_exist_is_refused_with_what_does(
    name: str, error: type[Exception], message: str, settings: Settings, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(error, match=message):
        find_model(settings, name.replace("RUN", run))
