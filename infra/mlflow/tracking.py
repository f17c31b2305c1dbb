"""Writes runs to MLflow: one parent run per pipeline run, one child run per step. Uses no global state of MLflow.

Requests are retried while a server restarts (`infra.retry`). Repeated requests have no further effect: metrics and parameters are
the same rows, and a run has a tag by which it is found if the response to its creation was lost.
"""

import functools
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from components.errors import TrackingError, single_line
from components.files import JSON
from components.locks import Lock, holding
from infra.retry import TransientError, retry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from requests.exceptions import RequestException

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

EXPERIMENT = "longrun"
MARK = "longrun.mark"
"""Tag with a random value by which the creator of a run finds it again."""

_MAX_METRICS, _MAX_PARAMS = 1000, 100
"""Maximum number of metrics, and of parameters, that MLflow accepts in one request."""

FINAL, MEASURED = "final/", "measured/"
"""Prefixes of the metrics that a step has once, so that they are not points of the curve of a metric with the same name."""

_BATCH_SECONDS = 1.0
"""Seconds over which metrics are collected for one request: a request per step would take longer than a small model's step."""

_MAX_VALUE = 500
"""Longest value of a parameter or tag, in characters, that every MLflow store accepts."""


@functools.cache
def client(tracking_uri: str) -> "MlflowClient":
    """An MLflow client for runs and the registry at `tracking_uri`; a SQLite store's directory is created."""
    # MLflow's own retries would repeat a `create` whose response was lost, and so create two
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    from mlflow.tracking import MlflowClient

    if tracking_uri.startswith("sqlite:///"):
        # MLflow creates its tables without a lock, so the second of two runs that start at once in a new home would fail
        with holding(Lock(Path(tracking_uri.removeprefix("sqlite:///")).parent / "lock"), "", lambda _: None):
            return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def ask(
    tracking_uri: str,
    call: "Callable[[MlflowClient], Result]",
    *,
    recover: "Callable[[MlflowClient], Result | None] | None" = None,
) -> Result:
    """The result of `call`, retried while MLflow does not answer; `recover` finds the result if only the response was lost.

    Raises:
        TrackingError: MLflow rejects the request, or does not answer in time.
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
        advice = "; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to log in" if " 401" in reason else ""
        raise TrackingError(f"MLflow at {tracking_uri}: {reason}{advice}") from error


def _is_transient(error: "RequestException") -> bool:
    """Whether a retry may help: no answer or a 5xx, and not a rejected request, invalid URL or wrong certificate."""
    from requests.exceptions import InvalidURL, SSLError

    refused = error.response is not None and error.response.status_code < 500
    return not refused and not isinstance(error, InvalidURL | SSLError)


def require_server(tracking_uri: str, seconds: float) -> None:
    """Check that a server answers within `seconds`, and that it shows runs and registered models. Raises `TrackingError`."""
    import httpx

    try:
        httpx.get(f"{tracking_uri.rstrip('/')}/health", timeout=seconds)
    except httpx.HTTPError as error:
        raise TrackingError(
            f"MLflow at {tracking_uri} does not answer ({error}); check its address and whether it runs"
        ) from error
    try:
        _once(tracking_uri, lambda: client(tracking_uri).get_experiment_by_name(EXPERIMENT))
        _once(tracking_uri, lambda: client(tracking_uri).search_registered_models(max_results=1))
    except TransientError as error:
        raise TrackingError(f"MLflow at {tracking_uri}: {error}; check its address and whether it runs") from error


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
    """Id of the experiment; creates it if it is missing, even if another run does so at the same time."""
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


def fail_run(tracking_uri: str, run_id: str, status: Literal["FAILED", "KILLED"] = "FAILED") -> None:
    """End an MLflow run as failed or killed. Does not retry: MLflow may be the reason for the failure."""
    try:
        _once(tracking_uri, lambda: client(tracking_uri).set_terminated(run_id, status=status))
    except (TransientError, TrackingError) as error:
        logger.warning("MLflow run %s could not be marked as %s: %s", run_id, status, error)


def log_values(tracking_uri: str, run_id: str, step: int, values: Mapping[str, float]) -> None:
    """Log metrics of one step in one call."""
    _log_steps(tracking_uri, run_id, [(step, values)])


class StepMetrics:
    """Buffers the metrics of a run and sends them once a second. A metric that is reported again for a step is ignored."""

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self._tracking_uri, self._run_id = tracking_uri, run_id
        self._known: set[tuple[int, str]] = set()
        self._waiting: list[tuple[int, Mapping[str, float]]] = []
        self._sent_at = 0.0

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Buffer the metrics of a step that are new."""
        new = {name: value for name, value in values.items() if (step, name) not in self._known}
        self._known.update((step, name) for name in new)
        if new:
            self._waiting.append((step, new))
        if time.monotonic() - self._sent_at >= _BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send all buffered metrics."""
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
    tracking_uri: str, run_id: str, *, config: Mapping[str, Any], metrics: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    """Log a config as parameters, the numbers among nested values as metrics, and tags such as digests."""
    from mlflow.entities import Metric, RunTag

    log_params(tracking_uri, run_id, config)
    now = int(time.time() * 1000)
    numbers = [Metric(name, value, now, 0) for name, value in numbers_in(metrics).items()]
    run_tags = [RunTag(name, value) for name, value in _short(tags).items()]
    ask(tracking_uri, lambda mlflow: mlflow.log_batch(run_id, metrics=numbers, tags=run_tags))


def set_tag(tracking_uri: str, run_id: str, key: str, value: str) -> None:
    """Set a tag of a run."""
    ask(tracking_uri, lambda mlflow: mlflow.set_tag(run_id, key, value))


def log_params(tracking_uri: str, run_id: str, config: Mapping[str, Any]) -> None:
    """Log a nested config as parameters with dotted names, such as pretraining.learning_rate."""
    from mlflow.entities import Param

    params = [Param(name, value) for name, value in _short(flatten(config)).items()]
    for first in range(0, len(params), _MAX_PARAMS):
        batch = params[first : first + _MAX_PARAMS]
        ask(tracking_uri, lambda mlflow: mlflow.log_batch(run_id, params=batch))  # noqa: B023 - called at once


def log_file(tracking_uri: str, run_id: str, path: Path) -> None:
    """Attach a small file, such as an HTML report, to a run."""
    ask(tracking_uri, lambda mlflow: mlflow.log_artifact(run_id, str(path)))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, JSON]:
    """Flatten nested mappings to one with dotted names; characters that MLflow does not allow in names become `_`."""
    flat: dict[str, JSON] = {}
    for name, value in values.items():
        full = prefix + "".join(c if c.isalnum() or c in "_-./ " else "_" for c in str(name))
        flat.update(flatten(value, f"{full}.") if isinstance(value, Mapping) else {full: value})
    return flat


def numbers_in(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among nested values, by the names that `flatten` gives them."""
    flat = flatten(values).items()
    return {name: float(value) for name, value in flat if isinstance(value, int | float) and not isinstance(value, bool)}


def _short(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:_MAX_VALUE] for name, value in values.items()}


def _artifacts(tracking_uri: str) -> str | None:
    if not tracking_uri.startswith("sqlite:///"):
        return None
    return (Path(tracking_uri.removeprefix("sqlite:///")).parent / "artifacts").as_uri()


def _innermost(error: BaseException) -> str:
    """The message of the innermost exception in a chain in which each has the next one as an argument."""
    while isinstance(inner := next((value for value in error.args if isinstance(value, BaseException)), None), BaseException):
        error = inner
    return single_line(getattr(error, "reason", None) or error)
