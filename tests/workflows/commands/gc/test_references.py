"""All references to artifacts are read before anything is deleted; if one cannot be read, nothing is deleted."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from components.artifacts import Artifact
from components.errors import DamagedArtifact, HomeError, MissingArtifact, TrackingError
from infra.mlflow import registry, tracking
from infra.settings import Settings
from tests.components.ports.store_suite import fill, manifest_of, publish
from tests.servers import free_port
from workflows.commands.gc.references import read_references
from workflows.steps.journal import open_journal
from workflows.steps.lock import running


def register(settings: Settings, artifact: Artifact, *names: str) -> None:
    run = tracking.start_run(settings.tracking_uri, "run")
    where = {"source": str(settings.home / artifact.uri), "run_id": run, "alias": "candidate"}
    for name in names:
        registry.register(settings.tracking_uri, name, artifact, **where, tags={})


def made_from(settings: Settings, step: str, **inputs: Artifact) -> Artifact:
    with settings.store.writing(step) as output:
        fill(output, step)
        return settings.store.publish(output, replace(manifest_of(output, step=step), inputs=inputs))


def database(settings: Settings) -> Path:
    return settings.home / "mlflow" / "mlflow.db"


BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "without tables": lambda path: (path.unlink(), sqlite3.connect(path).execute("CREATE TABLE other (a)")),
    "no database": lambda path: path.write_text("words " * 1000),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a dangling link": lambda path: (path.unlink(), path.symlink_to(path.with_name("nowhere"))),
    "without its directory": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_registry_that_cannot_be_read_is_not_an_empty_registry(used_home: Settings, damage: str) -> None:
    publish(used_home.store)
    BROKEN[damage](database(used_home))
    with pytest.raises(HomeError, match=r"mlflow\.db: the model registry of this home cannot be read .* gc deletes nothing"):
        read_references(used_home, ())
    assert damage not in ("missing", "a dangling link") or not database(used_home).exists()


def test_a_missing_registry_is_missed_if_a_run_has_used_it_though_no_artifact_is_here(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert read_references(settings, ()).needed == frozenset()
    open_journal(settings.runs).write("run", recipe="tiny", tracking_uri=f"sqlite:///{tmp_path}/elsewhere/mlflow/mlflow.db")
    with pytest.raises(HomeError, match="the model registry of this home cannot be read"):
        read_references(settings, ())


def test_everything_that_a_registered_model_was_made_from_is_needed(used_home: Settings) -> None:
    corpus = made_from(used_home, "curation")
    checkpoint = made_from(used_home, "pretraining", corpus=corpus)
    model = made_from(used_home, "registration", checkpoint=checkpoint)
    made_from(used_home, "dpo")
    register(used_home, model, "small")
    assert read_references(used_home, ()).needed == {corpus.uri, checkpoint.uri, model.uri}


@pytest.mark.slow
def test_models_beyond_the_first_page_of_names_are_read(used_home: Settings) -> None:
    last = publish(used_home.store, step="registration", text="last")
    for number in range(120):
        tracking.client(used_home.tracking_uri).create_registered_model(f"model-{number:03d}")
    register(used_home, last, "model-119", 'with "both" \' quotes')
    assert read_references(used_home, ()).needed == {last.uri}


def test_a_model_whose_artifact_is_elsewhere_is_passed_over_and_named(used_home: Settings) -> None:
    here = publish(used_home.store, step="registration", text="here")
    there = Artifact(uri="artifacts/registration/0123456789abcdef/0123456789abcdef", digest="0" * 64)
    register(used_home, there, "other")
    register(used_home, here, "small")
    references = read_references(used_home, ())
    assert (references.needed, references.elsewhere) == ({here.uri}, ("other/1",))


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_model_whose_lineage_cannot_be_read_is_an_error(used_home: Settings, damage: str) -> None:
    corpus = made_from(used_home, "curation")
    register(used_home, made_from(used_home, "registration", corpus=corpus), "small")
    manifest = used_home.home / corpus.uri / "manifest.json"
    if damage == "missing":
        manifest.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes().replace(b"curation", b"curatiom"))
    with pytest.raises(MissingArtifact if damage == "missing" else DamagedArtifact, match="corpus of artifacts/registration/"):
        read_references(used_home, ())


def test_a_server_on_which_an_earlier_run_has_registered_a_model_is_read_too(used_home: Settings) -> None:
    publish(used_home.store)
    run = open_journal(used_home.runs)
    server = f"http://127.0.0.1:{free_port()}"
    run.write("run", recipe="tiny", tracking_uri=server)
    assert read_references(used_home, ()).needed == frozenset()
    run.write("made", step="registration", uri="artifacts/registration/a/b", digest="0" * 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGRUN_PATIENCE", "0")
        with pytest.raises(TrackingError, match=f"{server}.*gc deletes nothing"):
            read_references(used_home, ())


def test_models_of_this_home_stay_needed_after_it_was_moved_and_registers_on_a_server(used_home: Settings) -> None:
    model = publish(used_home.store, step="registration")
    register(used_home, model, "small")
    run = open_journal(used_home.runs)
    run.write("run", recipe="tiny", tracking_uri="sqlite:////former/home/mlflow/mlflow.db")
    run.write("made", step="registration", **model.pinned)
    moved = used_home.home.rename(used_home.home.with_name("moved"))
    assert read_references(Settings(home=moved), ()).needed == {model.uri}


def test_artifacts_of_a_run_that_is_running_are_needed_though_some_were_deleted(used_home: Settings) -> None:
    kept, lost = (publish(used_home.store, step=step) for step in ("curation", "sft"))
    run = open_journal(used_home.runs)
    for artifact in (kept, lost):
        run.write("made", step="curation", **artifact.pinned)
    used_home.store.delete(lost)
    assert read_references(used_home, ()).needed == frozenset()
    with running(run, used_home.home):
        assert read_references(used_home, ()).needed == {kept.uri}
