"""What a run leaves behind whether it ends well or not: its journal, its run in MLflow, and a free lock."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import ConfigError, SourceError, TrackingError
from infra import retry
from infra.mlflow import tracking
from infra.settings import Settings
from tests.servers import free_port
from workflows.recipe import Recipe, load_recipe
from workflows.running import open_run, open_run_on_cluster
from workflows.steps.journal import Journal
from workflows.steps.run import Run, RunOptions

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("tiny")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home; the caches that a run puts there are left again."""
    before = dict(os.environ)
    yield Settings(home=tmp_path_factory.mktemp("home"))
    os.environ.clear()
    os.environ.update(before)


def mlflow_status(settings: Settings, run: Run) -> str:
    return str(tracking.client(settings.tracking_uri).get_run(run.mlflow_run).info.status)


def test_a_run_that_ends_well_says_so_with_what_it_was_asked_for(settings: Settings, recipe: Recipe) -> None:
    with open_run(recipe, settings, RunOptions(until="sft", fresh=("curation",))) as run:
        assert run.store.find("curation", "key") is None
    first, last = run.journal.events()
    assert (first["event"], first["recipe"], first["until"], first["fresh"]) == ("run", "tiny", "sft", ["curation"])
    assert first["artifact_root"] == "home"
    assert (last["event"], last["failed"]) == ("finished", False)
    assert mlflow_status(settings, run) == "FINISHED"


def test_a_run_that_fails_says_by_what_and_leaves_the_home_to_the_next(settings: Settings, recipe: Recipe) -> None:
    with pytest.raises(SourceError), open_run(recipe, settings) as run:
        raise SourceError("source x is truncated")
    last = run.journal.events()[-1]
    assert (last["event"], last["failed"], last["message"]) == ("finished", True, "source x is truncated")
    assert mlflow_status(settings, run) == "FAILED"
    with open_run(recipe, settings) as following:
        assert following.directory != run.directory


def test_a_run_that_ends_leaves_its_page_and_says_what_was_set_but_ctrl_c_does_not_wait_for_one(
    settings: Settings, recipe: Recipe
) -> None:
    with open_run(recipe, settings, RunOptions(changes=("sft.epochs=2",))) as finished:
        pass
    with pytest.raises(SourceError), open_run(recipe, settings) as failed:
        raise SourceError("source x is truncated")
    with pytest.raises(KeyboardInterrupt), open_run(recipe, settings) as interrupted:
        raise KeyboardInterrupt
    pages = [Path(run.directory) / "report.html" for run in (finished, failed, interrupted)]
    assert [page.is_file() for page in pages] == [True, True, False]
    assert "sft.epochs=2" in pages[0].read_text()
    assert "source x is truncated" in pages[1].read_text()


def test_each_wait_for_a_service_is_an_event(settings: Settings, recipe: Recipe) -> None:
    with open_run(recipe, settings) as run:
        retry.logger.warning("MLflow does not answer; waiting")
    retry.logger.warning("after the run")
    assert [event["why"] for event in run.journal.events() if event["event"] == "waiting"] == ["MLflow does not answer; waiting"]


def test_what_a_killed_run_was_writing_is_removed(settings: Settings, recipe: Recipe) -> None:
    (settings.home / "writing" / "curation-1").mkdir(parents=True)
    with open_run(recipe, settings):
        assert not [*settings.home.glob("writing/*")]


def test_a_server_that_does_not_answer_is_refused_before_there_is_a_journal(
    tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Settings(home=tmp_path, mlflow_uri=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TrackingError, match="does not answer"), open_run(recipe, away):
        pass
    assert not away.runs.exists()


def test_a_driver_without_a_profile_is_refused(recipe: Recipe) -> None:
    refused = pytest.raises(ConfigError, match="contains no profile; start a run on a cluster with: longrun run --on cluster")
    with refused, open_run_on_cluster(recipe, "20260101-000000-aaaa", RunOptions()):
        pass


def test_the_journal_is_that_of_the_runs_directory(settings: Settings, recipe: Recipe) -> None:
    with open_run(recipe, settings) as run:
        assert run.journal == Journal(settings.runs / run.journal.name)
