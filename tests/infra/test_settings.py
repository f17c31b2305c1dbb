"""Where the home is, whether it can be used, and where the record of its runs is kept."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ConfigError, HomeError
from infra.bucket import object_store_endpoint
from infra.cluster.profiles import Profile, to_toml
from infra.settings import remember, settings, usable_home
from infra.urls import HERE
from infra.variables import QUIET


def test_the_home_is_the_option_then_the_environment_then_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LONGRUN_HOME", str(tmp_path / "env"))
    assert settings(str(tmp_path / "option")).home == tmp_path / "option"
    assert settings().home == tmp_path / "env"
    monkeypatch.delenv("LONGRUN_HOME")
    assert settings().home == tmp_path / ".longrun"


def test_settings_switch_the_telemetry_of_every_dependency_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    settings(str(tmp_path))
    assert {name: os.environ[name] for name in QUIET} == QUIET
    assert os.environ["DO_NOT_TRACK"] == "true"


def test_a_home_that_is_a_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match=r"file cannot be used: .*--home"):
        usable_home(tmp_path / "file")


def test_a_usable_home_is_left_empty(tmp_path: Path) -> None:
    assert list(usable_home(tmp_path / "home").iterdir()) == []


def test_a_home_keeps_its_record_in_itself(tmp_path: Path) -> None:
    chosen = settings(str(tmp_path))
    assert (chosen.artifact_root, chosen.mlflow_uri) == (HERE, HERE)
    assert chosen.tracking_uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


def test_a_home_remembers_where_its_record_is_until_another_location_is_named(tmp_path: Path) -> None:
    remember(settings(str(tmp_path), artifact_root="s3://bucket/runs", mlflow_uri="https://mlflow.example.org"))
    again = settings(str(tmp_path))
    assert (again.artifact_root, again.tracking_uri) == ("s3://bucket/runs", "https://mlflow.example.org")
    remember(settings(str(tmp_path), artifact_root=HERE))
    assert settings(str(tmp_path)).artifact_root == HERE
    assert settings(str(tmp_path)).mlflow_uri == "https://mlflow.example.org"
    remember(settings(str(tmp_path), mlflow_uri=HERE))
    assert list(tmp_path.iterdir()) == []


def test_a_task_on_a_cluster_keeps_the_record_where_its_profile_says(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(settings(str(tmp_path), artifact_root="s3://bucket/runs"))
    monkeypatch.setenv("LONGRUN_PROFILE", to_toml(replace(profile, object_store_endpoint="https://s3.example.org")))
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    assert object_store_endpoint(profile.artifact_root) == "https://s3.example.org"
    chosen = settings(str(tmp_path))
    assert (chosen.artifact_root, chosen.mlflow_uri) == (profile.artifact_root, profile.mlflow_uri)


@pytest.mark.parametrize(
    "root", ["bucket", "file:///bucket", "s3://", "s3://key:planted-secret@bucket", "s3://bucket?key=planted-secret"]
)
def test_what_is_no_location_of_artifacts_is_refused_and_no_secret_repeated(root: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Settings\.artifact_root") as caught:
        settings(str(tmp_path), artifact_root=root)
    assert "planted-secret" not in str(caught.value)


def test_a_damaged_file_of_locations_is_named(tmp_path: Path) -> None:
    (tmp_path / "record.toml").write_text("artifact_root = s3")
    with pytest.raises(ConfigError, match=r"record\.toml cannot be read: .*; delete it"):
        settings(str(tmp_path))


def test_the_endpoint_of_s3_is_taken_from_where_amazons_own_tools_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    assert object_store_endpoint("s3://bucket") == ""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert object_store_endpoint("s3://bucket") == "http://127.0.0.1:9000"
    assert object_store_endpoint("gs://bucket") == ""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9001")
    assert object_store_endpoint("s3://bucket") == "http://127.0.0.1:9001"
