"""Runs in MLflow: one parent for a pipeline run, one child for each step. Direct calls, no global state."""

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "longrun"
_LONGEST_VALUE = 500
"""Characters of a parameter or tag that every MLflow store accepts."""


@functools.cache
def client(tracking_uri: str) -> "MlflowClient":
    """An MLflow client for runs and the registry at `tracking_uri`; a SQLite store's directory is created."""
    from mlflow.tracking import MlflowClient

    if tracking_uri.startswith("sqlite:///"):
        Path(tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def start_run(tracking_uri: str, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None) -> str:
    """Start an MLflow run in the experiment `longrun` and return its id."""
    mlflow = client(tracking_uri)
    found = mlflow.get_experiment_by_name(EXPERIMENT)
    experiment = (
        found.experiment_id if found else mlflow.create_experiment(EXPERIMENT, artifact_location=_artifacts(tracking_uri))
    )
    nested = {"mlflow.parentRunId": parent} if parent else {}
    run = mlflow.create_run(experiment, run_name=name, tags={**nested, **_short(tags or {})})
    return str(run.info.run_id)


def finish_run(tracking_uri: str, run_id: str, *, failed: bool = False) -> None:
    """End an MLflow run."""
    client(tracking_uri).set_terminated(run_id, status="FAILED" if failed else "FINISHED")


def log_values(tracking_uri: str, run_id: str, step: int, values: Mapping[str, float]) -> None:
    """Log metrics of one step in one call."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    client(tracking_uri).log_batch(run_id, metrics=[Metric(name, float(value), now, step) for name, value in values.items()])


def log_record(
    tracking_uri: str, run_id: str, *, config: Mapping[str, Any], figures: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    """Log a step's resolved config as parameters, its numeric figures as metrics, and tags such as digests."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    flat = flatten(figures)
    numbers = {name: value for name, value in flat.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    client(tracking_uri).log_batch(
        run_id,
        params=[Param(name, value) for name, value in _short(flatten(config)).items()][:100],
        metrics=[Metric(name, float(value), now, 0) for name, value in numbers.items()],
        tags=[RunTag(name, value) for name, value in _short(tags).items()],
    )


def log_file(tracking_uri: str, run_id: str, path: Path) -> None:
    """Attach a small file, such as an HTML report."""
    client(tracking_uri).log_artifact(run_id, str(path))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names; characters that MLflow refuses in names become `_`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        full = prefix + "".join(c if c.isalnum() or c in "_-./ " else "_" for c in str(name))
        flat.update(flatten(value, f"{full}.") if isinstance(value, Mapping) else {full: value})
    return flat


def _short(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:_LONGEST_VALUE] for name, value in values.items()}


def _artifacts(tracking_uri: str) -> str | None:
    if not tracking_uri.startswith("sqlite:///"):
        return None
    return (Path(tracking_uri.removeprefix("sqlite:///")).parent / "artifacts").as_uri()
