"""A home with artifacts in it, one with artifacts in a bucket, and artifacts to put there."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Artifact
from components.ports.store import records_of
from components.raw_files import RawRecord, write_raw
from infra.mlflow import tracking
from infra.settings import Settings
from infra.storage import store_at
from infra.urls import HERE
from tests.components.ports.store_suite import manifest_of
from tests.infra.s3_server import BUCKET, bucket


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server in the environment, as a user would have it."""
    with bucket(tmp_path_factory.mktemp("s3") / "log") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        yield url


@pytest.fixture(params=["here", "bucket"])
def any_home(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """A home, with artifacts in it or in a bucket."""
    if request.param == "bucket":
        request.getfixturevalue("endpoint")
    root = HERE if request.param == "here" else f"s3://{BUCKET}/{tmp_path.name}"
    return Settings(home=tmp_path / "home", artifact_root=root)


def published(
    settings: Settings, step: str, directory: Path, config: Mapping[str, Any] | None = None, kind: str = "Corpus"
) -> Artifact:
    """The files of a directory as the artifact of a step, made in the home, or where a bucket keeps artifacts in another home."""
    home = settings.home if settings.artifact_root == HERE else settings.home.with_name("other")
    store = store_at(settings.artifact_root, home)
    with store.writing(step) as output:
        shutil.copytree(directory, output, dirs_exist_ok=True)
        return store.publish(output, replace(manifest_of(output, step=step), config=config or {}, kind=kind))


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database without a model, as the first run of a home makes it."""
    settings = Settings(home=tmp_path_factory.mktemp("registry"))
    tracking.start_run(settings.tracking_uri, "run")
    return settings.home / "mlflow" / "mlflow.db"


@pytest.fixture
def used_home(tmp_path: Path, empty_registry: Path) -> Settings:
    """A home in which a run has been, so it has a model registry."""
    (tmp_path / "used" / "mlflow").mkdir(parents=True)
    shutil.copyfile(empty_registry, tmp_path / "used" / "mlflow" / "mlflow.db")
    return Settings(home=tmp_path / "used")


@pytest.fixture
def bucket_home(tmp_path: Path, endpoint: str) -> Settings:
    """A home with artifacts in a bucket."""
    return Settings(home=tmp_path / "home", artifact_root=f"s3://{BUCKET}/{tmp_path.name}")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder of raw files."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text("words")
    return tmp_path / "raw"


def published_corpus(settings: Settings, raw: Path) -> Artifact:
    """A corpus with its list of raw files, made in the home."""
    with settings.store.writing("curation") as output:
        (output / "shard").write_bytes(b"x" * 1000)
        (record,) = records_of(raw)
        uri = str(raw / record.path)
        write_raw([RawRecord(source="mine", path=record.path, sha256=record.sha256, bytes=record.size, uri=uri)], output)
        return settings.store.publish(output, manifest_of(output))
