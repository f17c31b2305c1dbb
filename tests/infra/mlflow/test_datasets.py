"""Datasets of a run in a real MLflow on SQLite."""

from pathlib import Path

import mlflow.data
import pytest

from infra.mlflow import tracking
from infra.mlflow.datasets import Dataset, log_datasets


@pytest.mark.long
def test_datasets_are_listed_once_with_digest_source_and_profile(tmp_path: Path) -> None:
    uri, folder = f"sqlite:///{tmp_path}/mlflow/mlflow.db", tmp_path / "with space"
    run = tracking.start_run(uri, "data")
    corpus = Dataset(name="corpus", digest="a" * 64, uri=folder.as_uri(), profile={"documents": 3})
    shards = Dataset(name="token_shards", digest="b" * 64, uri="s3://bucket/token_shards")
    for _ in range(2):
        log_datasets(uri, run, [corpus, shards], "training")
    inputs = {given.dataset.name: given for given in tracking.client(uri).get_run(run).inputs.dataset_inputs}
    assert {name: given.dataset.digest for name, given in inputs.items()} == {"corpus": "a" * 36, "token_shards": "b" * 36}
    assert inputs["corpus"].dataset.profile == '{"documents": 3}'
    assert [(tag.key, tag.value) for tag in inputs["corpus"].tags] == [("mlflow.data.context", "training")]
    sources = {name: mlflow.data.get_source(given.dataset).uri for name, given in inputs.items()}
    assert sources == {"corpus": str(folder), "token_shards": "s3://bucket/token_shards"}
