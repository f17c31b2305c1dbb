"""A model that refers to its weights, in a real MLflow on SQLite."""

import json
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from infra.mlflow import tracking
from infra.mlflow.reference import log_reference


@pytest.mark.long
def test_the_description_is_copied_and_the_weights_are_referred_to(tmp_path: Path) -> None:
    uri, directory = f"sqlite:///{tmp_path}/mlflow/mlflow.db", tmp_path / "model of mine"
    (directory / "components/tokenizer").mkdir(parents=True)
    (directory / "components/tokenizer/tokenizer.json").write_text("{}")
    (directory / "model.safetensors").write_text("weights")
    (directory / "MLmodel").write_text(json.dumps({"flavors": {"transformers": {"model_binary": "."}}}))
    run = tracking.start_run(uri, "run")
    sources = {log_reference(uri, run, directory) for _ in range(2)}
    (source,) = sources
    folder = Path(url2pathname(urlsplit(source).path))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"MLmodel", "components/tokenizer/tokenizer.json"}
    assert json.loads((folder / "MLmodel").read_text())["flavors"]["transformers"]["model_binary"] == str(directory)
