"""Runs in MLflow: one parent for a pipeline run, one child for each step. Direct calls, no global state.

Requests are retried while a server restarts (`infra.retry`), and each counts once however often it is sent: metrics and
parameters are the same rows, and a run carries a mark by which it is found where the answer of its creation was lost.
"""

import functools
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from components.errors import TrackingError, single_line
from components.files import JSON
from infra.retry import TransientError, retry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from requests.exceptions import RequestException

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

EXPERIMENT = "longrun"
MARK = "longrun.mark"
"""Tag of a run by which whoever created it finds it again."""

_MAX_METRICS = 1000
"""Metrics that MLflow takes in one request."""

_BATCH_SECONDS = 1.0
"""How long metrics wait for others: a request a step would cost more than the step of a small model."""

_MAX_VALUE = 500
"""Characters of a parameter or tag that every MLflow store accepts."""


@functools.cache
def client(tracking_uri: str) -> "MlflowClient":
    """An MLflow client for runs and the registry at `tracking_uri`; a SQLite store's directory is created."""
    # MLflow repeats every request itself, also one that creates something and whose answer alone was lost
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    from mlflow.tracking import MlflowClient

    if tracking_uri.startswith("sqlite:///"):
        Path(tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def ask(
    tracking_uri: str,
    call: "Callable[[MlflowClient], Result]",
    *,
    recover: "Callable[[MlflowClient], Result | None] | None" = None,
) -> Result:
    """What `call` returns, as soon as MLflow answers; `recover` finds what an attempt has done whose answer was lost.

    Raises:
        TrackingError: MLflow refuses, or does not answer in time.
    """
    mlflow = client(tracking_uri)
    recovered = functools.partial(_once, tracking_uri, lambda: recover(mlflow)) if recover else None
    return retry(f"MLflow at {tracking_uri}", lambda: _once(tracking_uri, lambda: call(mlflow)), TrackingError, recover=recovered)


def _once(tracking_uri: str, call: Callable[[], Result]) -> Result:
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        return call()
    except (MlflowException, RequestException) as error:
        cause = error.__context__ if isinstance(error, MlflowException) else error
        if isinstance(cause, RequestException) and _is_transient(cause):
            raise TransientError(_innermost(cause)) from error
        reason = single_line(error)
        advice = "; a login comes from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" if " 401" in reason else ""
        raise TrackingError(f"MLflow at {tracking_uri}: {reason}{advice}") from error


def _is_transient(error: "RequestException") -> bool:
    """Whether the server is in trouble, and has not refused the request or shown a wrong certificate."""
    from requests.exceptions import InvalidURL, SSLError

    refused = error.response is not None and error.response.status_code < 500
    return not refused and not isinstance(error, InvalidURL | SSLError)


def require_server(tracking_uri: str, seconds: float) -> None:
    """Ask a server for its health, once and within `seconds`. Raises `TrackingError`."""
    import httpx

    try:
        httpx.get(f"{tracking_uri.rstrip('/')}/health", timeout=seconds)
    except httpx.HTTPError as error:
        raise TrackingError(
            f"MLflow at {tracking_uri} does not answer ({error}); look at its address and whether it runs"
        ) from error


def start_run(tracking_uri: str, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None) -> str:
    """Start an MLflow run in the experiment `longrun` and return its id."""
    experiment, mark = ask(tracking_uri, _experiment), uuid.uuid4().hex
    nested = {"mlflow.parentRunId": parent} if parent else {}
    all_tags = {**nested, **_short(tags or {}), MARK: mark}

    def create(mlflow: "MlflowClient") -> str:
        return str(mlflow.create_run(experiment, run_name=name, tags=all_tags).info.run_id)

    def created(mlflow: "MlflowClient") -> str | None:
        runs = mlflow.search_runs([experiment], f"tags.`{MARK}` = '{mark}'")
        return str(runs[0].info.run_id) if runs else None

    return ask(tracking_uri, create, recover=created)


def _experiment(mlflow: "MlflowClient") -> str:
    """Id of the experiment, which another run may be making just now."""
    from mlflow.exceptions import MlflowException

    if (known := mlflow.get_experiment_by_name(EXPERIMENT)) is not None:
        return str(known.experiment_id)
    try:
        return str(mlflow.create_experiment(EXPERIMENT, artifact_location=_artifacts(mlflow.tracking_uri)))
    except MlflowException as error:
        known = mlflow.get_experiment_by_name(EXPERIMENT) if error.error_code == "RESOURCE_ALREADY_EXISTS" else None
        if known is None:
            raise
        return str(known.experiment_id)


def finish_run(tracking_uri: str, run_id: str) -> None:
    """End an MLflow run."""
    ask(tracking_uri, lambda mlflow: mlflow.set_terminated(run_id, status="FINISHED"))


def fail_run(tracking_uri: str, run_id: str) -> None:
    """End an MLflow run as failed, without retries: it may have failed because MLflow does not answer."""
    try:
        _once(tracking_uri, lambda: client(tracking_uri).set_terminated(run_id, status="FAILED"))
    except (TransientError, TrackingError) as error:
        logger.warning("MLflow's run %s stays open: %s", run_id, error)


def log_values(tracking_uri: str, run_id: str, step: int, values: Mapping[str, float]) -> None:
    """Log metrics of one step in one call."""
    _log_steps(tracking_uri, run_id, [(step, values)])


class StepMetrics:
    """Metrics of a run by step: each is logged once, however often it is reported, and sent with others of the same second."""

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self._tracking_uri, self._run_id = tracking_uri, run_id
        self._known: set[tuple[int, str]] = set()
        self._waiting: list[tuple[int, Mapping[str, float]]] = []
        self._sent_at = 0.0

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take what is new."""
        new = {name: value for name, value in values.items() if (step, name) not in self._known}
        self._known.update((step, name) for name in new)
        if new:
            self._waiting.append((step, new))
        if time.monotonic() - self._sent_at >= _BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            _log_steps(self._tracking_uri, self._run_id, self._waiting)
        self._waiting, self._sent_at = [], time.monotonic()


def _log_steps(tracking_uri: str, run_id: str, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [Metric(name, float(value), now, step) for step, values in rows for name, value in values.items()]
    for first in range(0, len(metrics), _MAX_METRICS):
        batch = metrics[first : first + _MAX_METRICS]
        ask(tracking_uri, lambda mlflow: mlflow.log_batch(run_id, metrics=batch))  # noqa: B023 - called at once


def log_record(
    tracking_uri: str, run_id: str, *, config: Mapping[str, Any], figures: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    """Log a step's resolved config as parameters, its numeric figures as metrics, and tags such as digests."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    flat = flatten(figures)
    numbers = {name: value for name, value in flat.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    metrics = [Metric(name, float(value), now, 0) for name, value in numbers.items()]
    params = [Param(name, value) for name, value in _short(flatten(config)).items()][:100]
    run_tags = [RunTag(name, value) for name, value in _short(tags).items()]
    ask(tracking_uri, lambda mlflow: mlflow.log_batch(run_id, params=params, metrics=metrics, tags=run_tags))


def log_file(tracking_uri: str, run_id: str, path: Path) -> None:
    """Attach a small file, such as an HTML report."""
    ask(tracking_uri, lambda mlflow: mlflow.log_artifact(run_id, str(path)))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, JSON]:
    """Nested mappings as one, with dotted names; characters that MLflow refuses in names become `_`."""
    flat: dict[str, JSON] = {}
    for name, value in values.items():
        full = prefix + "".join(c if c.isalnum() or c in "_-./ " else "_" for c in str(name))
        flat.update(flatten(value, f"{full}.") if isinstance(value, Mapping) else {full: value})
    return flat


def _short(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:_MAX_VALUE] for name, value in values.items()}


def _artifacts(tracking_uri: str) -> str | None:
    if not tracking_uri.startswith("sqlite:///"):
        return None
    return (Path(tracking_uri.removeprefix("sqlite:///")).parent / "artifacts").as_uri()


def _innermost(error: BaseException) -> str:
    """Of a chain of exceptions that each quote the next one, the innermost."""
    while isinstance(inner := next((value for value in error.args if isinstance(value, BaseException)), None), BaseException):
        error = inner
    return single_line(getattr(error, "reason", None) or error)
