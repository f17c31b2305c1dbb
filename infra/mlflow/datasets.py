"""Logs what a run reads or makes as MLflow datasets, so that MLflow lists runs by their data."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from infra.mlflow.tracking import ask

_MAX_DIGEST = 36
"""Maximum number of characters of a dataset's digest in MLflow: https://mlflow.org/docs/latest/api_reference/rest-api.html."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Data that a run reads or makes."""

    name: str
    digest: str
    """sha256 in hex; MLflow stores the first 36 characters."""
    uri: str
    """Where it is: an absolute URI."""
    profile: Mapping[str, Any] = field(default_factory=dict)
    """Figures such as documents and bytes."""


def log_datasets(tracking_uri: str, run_id: str, datasets: Iterable[Dataset], context: str) -> None:
    """Log datasets to a run; `context` is what the run uses them for, such as training or evaluation."""
    from mlflow.entities import DatasetInput, InputTag

    inputs = [DatasetInput(_entity(dataset), [InputTag("mlflow.data.context", context)]) for dataset in datasets]
    if inputs:
        ask(tracking_uri, lambda mlflow: mlflow.log_inputs(run_id, inputs))


def _entity(dataset: Dataset) -> Any:
    from mlflow.entities import Dataset as Entity

    url = urlsplit(dataset.uri)
    local = url.scheme == "file"
    return Entity(
        name=dataset.name,
        digest=dataset.digest[:_MAX_DIGEST],
        source_type="local" if local else url.scheme,
        source=json.dumps({"uri": unquote(url.path) if local else dataset.uri}),
        profile=json.dumps(dataset.profile),
    )
