"""Environment variables: the only module that reads them, and what longrun sets for itself and for the libraries it uses."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from components.errors import ConfigError
from infra.bundle import version_of

QUIET = {
    "DO_NOT_TRACK": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "RAY_worker_niceness": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    # otherwise a thread that still waits in a Ray that is left starts another one, in the middle of the end of its process
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Telemetry off and hubs offline, in this process and every process it starts. Ray's workers run at normal priority."""

WAITING = {"GOMP_SPINCOUNT": "10000", "OMP_WAIT_POLICY": "active"}
"""How often a thread of a CPU training looks for its next work before it sleeps (libgomp). By default it is 300 000 times, which
keeps the processor from what it waits for: one busy process beside a training of `smoke` on two cores made a step take up to
1.6 s in place of 0.37 s; with this 1.0 s, and on a quiet machine as long as before. As soon as another thread of the process has
worked in parallel too, such as the main thread of a worker of Ray Train, it is 1 000 times, unless the policy is active: threads
then slept between a step's small operations, which took twice as long."""


UNPACKED = "LONGRUN_EXTENSIONS"
"""Names the directory in which Ray's workers unpack the code that a recipe brings: Ray ends them before they can tidy up."""


def variable(name: str) -> str | None:
    """The environment variable `name`: a profile, or a secret that a profile refers to; None where it is not set."""
    return os.environ.get(name)


def set_variable(name: str, value: str) -> None:
    """Set an environment variable of this process and of those it starts."""
    os.environ[name] = value


def environment_with(name: str, value: str) -> dict[str, str]:
    """The environment of this process and one variable more, for a process that it starts."""
    return {**os.environ, name: value}


@contextlib.contextmanager
def variables_as(values: Mapping[str, str | None]) -> Iterator[None]:
    """Within the block, environment variables of this process have these values, or None: are not set."""
    before = {name: os.environ.get(name) for name in values}
    _assign(values)
    try:
        yield
    finally:
        _assign(before)


def _assign(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


IDENTITIES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""What obstore takes credentials from before it asks a cloud's metadata address, 169.254.169.254 (its crate object_store)."""


def unsigned(endpoint: str) -> bool:
    """Whether requests to an S3 API go without a signature: it is not Amazon's, and there are no credentials for it.

    A cloud's metadata address has none for it either, and outside of that cloud nobody answers there for minutes.
    """
    host = urlsplit(endpoint).hostname or ""
    amazons = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return bool(host) and not amazons and not any(os.environ.get(name) for name in IDENTITIES)


WITHOUT_METADATA = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9"}
"""The first keeps Amazon's own libraries from asking, the second lets obstore ask where nobody listens, which says so at once."""


def avoid_metadata(endpoint: str) -> None:
    """Let no client here ask a cloud's metadata address where the store, at `endpoint` or the environment's, is one's own."""
    own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or endpoint
    if unsigned(own):
        for name, value in WITHOUT_METADATA.items():
            os.environ.setdefault(name, value)


def quieten() -> None:
    """Put `QUIET`, and of `WAITING` what the user did not choose, into the environment of this process and those it starts."""
    os.environ.update(QUIET)
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    # Without bytecode every Ray worker compiles its imports again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def keep_caches(home: Path) -> None:
    """Point the caches that libraries would keep elsewhere into `home`, for this process and those it starts."""
    os.environ.update(_caches(home / "cache") | {"NUMBA_CACHE_DIR": str(numba_cache(home))})


def _caches(directory: Path) -> dict[str, str]:
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(directory / "inductor"),
        "TRITON_CACHE_DIR": str(directory / "triton"),
        "MPLCONFIGDIR": str(directory / "matplotlib"),
        "HF_HOME": str(directory / "huggingface"),
    }


_IN_PODS = Path("/tmp/longrun")  # noqa: S108 - all that every user may write, whatever the image and its root folder are


def pod_variables() -> dict[str, str]:
    """What every process of a task's pod is started with, Ray and its workers included: they ask no module of ours first."""
    return {
        **QUIET,
        **WAITING,
        **_caches(_IN_PODS),
        "NUMBA_CACHE_DIR": str(_IN_PODS / "numba"),
        # of whatever else keeps a cache: torch's extensions, fontconfig
        "XDG_CACHE_HOME": str(_IN_PODS / "cache"),
        # a user that no file of users names has no name otherwise, and torch and MLflow ask for one
        "LOGNAME": "longrun",
        # what ends in the middle of native code says where
        "PYTHONFAULTHANDLER": "1",
        # a stopped job has time to keep its logs; 3 by default
        "RAY_JOB_STOP_WAIT_TIME_S": "20",
        # infra/pod/watch.py
        "_F_EXEC_WRAPPER": "python -m infra.pod.watch",
    }


def numba_cache(home: Path, components: Path = Path(__file__).parents[1] / "components") -> Path:
    """Where numba keeps what it compiled: beside the components, where all homes share it, or in `home` if those are read-only.

    Other code has another directory, because numba sees a change only in the file of a function, not in those that it calls.
    """
    parent = components / "__pycache__" if os.access(components, os.W_OK) else home / "cache"
    return parent / f"numba-{version_of(sorted(components.rglob('*.py')), components)}"


def keep_flyte_state(home: Path) -> None:
    """Let Flyte keep what it remembers of submissions in `home`, which must exist, and not in the user's own home."""
    config = home / "flyte" / "config.yaml"
    config.parent.mkdir(exist_ok=True)
    config.touch()
    os.environ["UCTL_CONFIG"] = str(config)


RETRY_VARIABLE = "LONGRUN_PATIENCE"

DEFAULT_RETRY_SECONDS = 300.0
"""A pod of MLflow with its migration, or a node of an object store, is back in less."""


def retry_seconds() -> float:
    """How long requests to a service that does not answer are retried. Raises `ConfigError` for what is no number of seconds."""
    text = os.environ.get(RETRY_VARIABLE) or str(DEFAULT_RETRY_SECONDS)
    seconds = float(text) if text.replace(".", "", 1).isdigit() else -1.0
    if seconds < 0:
        raise ConfigError(f"${RETRY_VARIABLE} is {text!r}; allowed: a number of seconds, such as 300")
    return seconds
