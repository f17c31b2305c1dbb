"""What the machine and the services lack is said before the run, all of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.training_configs import with_training
from workflows.preflight.machine import Installed, InstructionPackages, Room, Stores
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
