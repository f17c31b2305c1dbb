"""Runs in a real MLflow: on SQLite, and on a server process whose answers may be lost."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.artifacts import Artifact
from components.errors import TrackingError
from infra.mlflow import registry, tracking
from tests import servers
from tests.infra.s3_server import LosingProxy
from tests.paths import ROOT

pytestmark = pytest.mark.long

PASSWORD = "a-long-enough-password"


def test_a_step_is_a_child_run_with_config_metrics_and_tags(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    parent = tracking.start_run(uri, "run")
    child = tracking.start_run(uri, "curation", parent=parent)
    tracking.log_record(uri, child, config={"a": {"b": 1}}, metrics={"documents": 3, "by": {"code": 0.5}}, tags={"digest": "ff"})
    tracking.finish_run(uri, child)
    logged = tracking.client(uri).get_run(child)
    assert logged.data.tags["mlflow.parentRunId"] == parent
    assert logged.data.params == {"a.b": "1"}
    assert logged.data.metrics == {"documents": 3.0, "by.code": 0.5}
    assert logged.data.tags["digest"] == "ff"
    assert logged.info.status == "FINISHED"


@pytest.mark.long
def test_two_processes_that_start_at_once_in_a_new_home_both_get_a_run(tmp_path: Path) -> None:
    code = "import sys; from infra.mlflow import tracking; print(tracking.start_run(sys.argv[1], 'run'))"
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/mlflow/mlflow.db"]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    runs = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len(set(runs)) == 2


def test_every_field_of_a_large_recipe_is_a_parameter(server: str) -> None:
    run = tracking.start_run(server, "large")
    tracking.log_params(server, run, {"pretraining": {f"field_{number}": number for number in range(250)}})
    assert tracking.client(server).get_run(run).data.params == {f"pretraining.field_{n}": str(n) for n in range(250)}


def test_names_that_mlflow_refuses_are_made_plain() -> None:
    assert tracking.flatten({"a": {"b|c": 1}, "ä": 2}) == {"a.b_c": 1, "ä": 2}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an MLflow server on SQLite that asks for the login in the environment."""
    directory = tmp_path_factory.mktemp("mlflow")
    (directory / "basic_auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{directory}/users\nadmin_username = operator\n"
        f"admin_password = {PASSWORD}\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    environment = {"MLFLOW_AUTH_CONFIG_PATH": str(directory / "basic_auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": "k" * 48}
    locations = [
        "--app-name=basic-auth",
        f"--backend-store-uri=sqlite:///{directory}/db",
        f"--artifacts-destination={directory}/artifacts",
    ]
    with servers.mlflow_server(locations, directory, environment).running() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", "operator")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        yield running.url


def _runs(server: str, name: str) -> list[str]:
    mlflow = tracking.client(server)
    experiment = mlflow.get_experiment_by_name(tracking.EXPERIMENT)
    return [run.info.run_id for run in mlflow.search_runs([experiment.experiment_id], f"tags.`mlflow.runName` = '{name}'")]


def test_a_run_whose_answer_was_lost_is_found_and_not_started_twice(server: str) -> None:
    proxy = LosingProxy(server, path="/runs/create")
    with proxy.serving() as url:
        started = tracking.start_run(url, "lost")
    assert proxy.killed
    assert _runs(server, "lost") == [started]


def test_the_experiment_is_made_once_although_the_answer_was_lost(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "EXPERIMENT", "other")
    proxy = LosingProxy(server, path="/experiments/create")
    with proxy.serving() as url:
        started = tracking.start_run(url, "in-other")
    assert proxy.killed
    assert _runs(server, "in-other") == [started]


def test_metrics_whose_answer_was_lost_are_there_once(server: str) -> None:
    run, proxy = tracking.start_run(server, "metrics"), LosingProxy(server, path="/runs/log-batch")
    with proxy.serving() as url:
        tracking.log_values(url, run, 1, {"loss": 2.0, "rate": 0.5})
        tracking.log_values(url, run, 2, {"loss": 1.0})
    assert proxy.killed
    assert [point.value for point in tracking.client(server).get_metric_history(run, "loss")] == [2.0, 1.0]
    assert len(tracking.client(server).get_metric_history(run, "rate")) == 1


def test_a_file_whose_answer_was_lost_is_there_whole(server: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("x" * 100_000)
    run, proxy = tracking.start_run(server, "file"), LosingProxy(server, path="/page.html")
    with proxy.serving() as url:
        tracking.log_file(url, run, page)
    assert proxy.killed
    (artifact,) = tracking.client(server).list_artifacts(run)
    assert (artifact.path, artifact.file_size) == ("page.html", 100_000)


@pytest.mark.parametrize("path", ["/model-versions/create", "/registered-models/create", "/registered-models/alias"])
def test_a_version_is_registered_once_whichever_answer_was_lost(server: str, path: str) -> None:
    name, artifact = path.strip("/").replace("/", "-"), Artifact(uri="artifacts/registration/1", digest="a" * 64)
    run, proxy = tracking.start_run(server, name), LosingProxy(server, path=path)
    with proxy.serving() as url:
        made, new = registry.register(
            url, name, artifact, source="s3://bucket/1", run_id=run, alias="candidate", tags={"run": "here"}
        )
    assert proxy.killed
    assert new
    assert registry.versions(server, name) == [made]
    assert made.aliases == ("candidate",)


def test_a_wrong_password_is_refused_at_once_and_the_message_says_where_it_comes_from(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-but-secret")
    with pytest.raises(TrackingError, match=r"401.*set MLFLOW_TRACKING_USERNAME") as caught:
        tracking.start_run(server, "nobody")
    assert "wrong-but-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_server_refuses_is_one_line_and_nothing_is_waited_for(server: str) -> None:
    with pytest.raises(TrackingError, match=rf"^MLflow at {server}: .*nowhere") as caught:
        tracking.log_values(server, "nowhere", 1, {"loss": 1.0})
    assert "\n" not in str(caught.value)


def test_a_failed_run_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    tracking.fail_run(f"http://127.0.0.1:{servers.free_port()}", "run")
    assert "MLflow run run could not be marked as FAILED: " in caplog.text


def test_patience_ends_with_the_address_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGRUN_PATIENCE", "0.1")
    silent = f"http://127.0.0.1:{servers.free_port()}"
    with pytest.raises(TrackingError, match=rf"^MLflow at {silent} did not answer for 0 s \(.*[Cc]onnection refused\); run"):
        tracking.finish_run(silent, "run")
