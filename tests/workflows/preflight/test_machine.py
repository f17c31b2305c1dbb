"""What the machine and the services lack is said before the run, all of it."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.alignment.config import PreferencePairsConfig
from components.checks.limits import PreferencePairsLimits
from infra.bucket import forget_clients
from tests.servers import client, free_port
from tests.training_configs import with_training
from tests.workflows.preflight.test_alignment import pair
from workflows.preflight.alignment import PairFiles
from workflows.preflight.machine import Hook, Installed, InstructionPackages, Room, Stores
from workflows.recipe import load_recipe


def test_distributions_that_are_not_installed_are_all_named() -> None:
    question = Installed(field="curation.sources", distributions=("numpy", "no-such-thing", "neither"))
    first, second = map(str, question.problems())
    assert first.startswith("curation.sources: python-environment: distribution 'no-such-thing' is not installed")
    assert "'neither'" in second
    assert InstructionPackages.STAGE == "sft"


def test_what_is_installed_is_remembered_until_something_is_installed() -> None:
    assert "site-packages" in Installed(field="", distributions=("numpy",)).facts()["installed"]
    assert Installed(field="", distributions=()).facts() == {}


def test_disk_and_memory_are_both_asked_about(tmp_path: Path) -> None:
    recipe = load_recipe("tiny")
    assert list(Room(config=recipe, home=tmp_path).problems()) == []
    shape = recipe.pretraining.shape
    assert shape is not None
    large = replace(recipe.pretraining, shape=replace(shape, n_layer=10**7))
    large = with_training(large, checkpoint_keep=10**6)
    disk, memory = map(str, Room(config=replace(recipe, pretraining=large), home=tmp_path).problems())
    assert "of disk" in disk
    assert "of memory" in memory


def test_a_hook_that_cannot_be_executed_is_said_without_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "secret-hook"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setenv("LONGRUN_HOOK", str(program))
    (problem,) = Hook().problems()
    assert str(problem).startswith("$LONGRUN_HOOK names no executable file")
    assert "secret-hook" not in str(problem)
    program.chmod(0o755)
    assert list(Hook().problems()) == []
    monkeypatch.setenv("LONGRUN_HOOK", "https://example.org/hook")
    assert list(Hook().problems()) == []


@pytest.fixture
def s3(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of a client of the S3 API."""
    values = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    for name, value in {**values, "AWS_ENDPOINT_URL": store, "AWS_ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(name, value)
    forget_clients()
    yield
    forget_clients()


@pytest.mark.long
def test_a_bucket_and_a_server_that_do_not_answer_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    question = Stores(artifact_root="s3://bucket/prefix", mlflow_uri=f"http://127.0.0.1:{free_port()}")
    bucket, server = map(str, question.problems())
    assert bucket.startswith("artifact_root: s3://bucket/prefix")
    assert server.startswith("mlflow_uri: MLflow at http://127.0.0.1")
    assert list(Stores(artifact_root="home", mlflow_uri="home").problems()) == []


@pytest.mark.long
def test_a_bucket_that_can_be_written_is_no_problem_and_keeps_nothing(store: str, s3: None) -> None:
    client(store).create_bucket(Bucket="written")
    assert list(Stores(artifact_root="s3://written/prefix", mlflow_uri="home").problems()) == []
    assert "Contents" not in client(store).list_objects_v2(Bucket="written")
    (problem,) = Stores(artifact_root="s3://absent/prefix", mlflow_uri="home").problems()
    assert str(problem).startswith("artifact_root: s3://absent/prefix: NoSuchBucket")


@pytest.mark.long
def test_a_server_that_is_not_mlflow_is_said() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        (problem,) = Stores(artifact_root="home", mlflow_uri=f"http://127.0.0.1:{other.server_port}").problems()
        other.shutdown()
    assert str(problem).startswith("mlflow_uri: MLflow at http://127.0.0.1")


@pytest.mark.long
def test_a_large_file_in_a_bucket_is_sampled_by_ranges(store: str, s3: None, tmp_path: Path) -> None:
    lines = [json.dumps(pair(number) | {"filler": "x" * 200}) for number in range(40_000)]
    for name, rows in {"good": lines, "bad": [*lines[:10_000], *["{" + " " * 250] * 40_000, *lines[:10_000]]}.items():
        client(store).create_bucket(Bucket=name)
        client(store).put_object(Bucket=name, Key="pairs.jsonl", Body="\n".join(rows).encode())
    config = PreferencePairsConfig(sources=("s3://good/pairs.jsonl",))
    assert list(PairFiles(config=config, limits=PreferencePairsLimits()).problems()) == []
    (problem,) = PairFiles(config=replace(config, sources=("s3://bad/pairs.jsonl",)), limits=PreferencePairsLimits()).problems()
    assert "s3://bad/pairs.jsonl: " in str(problem)
    assert "the first is the line at byte" in str(problem)
