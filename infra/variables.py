"""Reads and sets environment variables, for longrun and for the libraries that it uses. No other module reads them."""

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
    # otherwise a thread that still waits for Ray starts a new one while the process exits
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Variables for this process and all that it starts: no telemetry, hubs offline, normal priority of Ray's workers."""

WAITING = {"GOMP_SPINCOUNT": "10000", "OMP_WAIT_POLICY": "active"}
"""How often an OpenMP thread (libgomp) checks for new work before it sleeps.

The default is 300 000 checks, which takes the CPU from other processes: with one other busy process on two cores, a step of
`smoke` took up to 1.6 s instead of 0.37 s, with this setting 1.0 s; on an idle machine it made no difference. If several threads
of a process use OpenMP, as in a worker of Ray Train, the default drops to 1 000 unless the policy is active; threads then slept
between the small operations of a step, which took twice as long.
"""


UNPACKED = "LONGRUN_EXTENSIONS"
"""Variable with the directory where Ray's workers unpack a recipe's own code; Ray kills them before they can delete it."""


def variable(name: str) -> str | None:
    """The value of the environment variable `name`; None if it is not set."""
    return os.environ.get(name)


def set_variable(name: str, value: str) -> None:
    """Set an environment variable of this process and of those it starts."""
    os.environ[name] = value


def environment_with(name: str, value: str) -> dict[str, str]:
    """This process's environment with one more variable, for a child process."""
    return {**os.environ, name: value}


@contextlib.contextmanager
def variables_as(values: Mapping[str, str | None]) -> Iterator[None]:
    """Within the block, set these environment variables of this process, or unset those with value None."""
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
"""Variables from which obstore takes credentials before it asks the cloud's metadata service at 169.254.169.254 (Rust crate
object_store)."""


def unsigned(endpoint: str) -> bool:
    """Whether to send unsigned requests to an S3 API: it is not Amazon's, and there are no credentials for it.

    The metadata service has no credentials for such a store, and outside a cloud asking it takes minutes to time out.
    """
    host = urlsplit(endpoint).hostname or ""
    amazons = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return bool(host) and not amazons and not any(os.environ.get(name) for name in IDENTITIES)


WITHOUT_METADATA = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9"}
"""Variables that disable the metadata service: the first for Amazon's libraries; the second for obstore, as an address that
refuses connections at once."""


def avoid_metadata(endpoint: str) -> None:
    """Keep clients from asking the metadata service if the store, at the environment's address or `endpoint`, needs no
    signature."""
    own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or endpoint
    if unsigned(own):
        for name, value in WITHOUT_METADATA.items():
            os.environ.setdefault(name, value)


def quieten() -> None:
    """Set `QUIET`, and the variables of `WAITING` that the user has not set, for this process and those that it starts."""
    os.environ.update(QUIET)
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    # without bytecode files every Ray worker compiles its imports again
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def keep_caches(home: Path) -> None:
    """Move the caches of libraries into `home`, for this process and those that it starts."""
    os.environ.update(_caches(home / "cache") | {"NUMBA_CACHE_DIR": str(numba_cache(home))})


def _caches(directory: Path) -> dict[str, str]:
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(directory / "inductor"),
        "TRITON_CACHE_DIR": str(directory / "triton"),
        "MPLCONFIGDIR": str(directory / "matplotlib"),
        "HF_HOME": str(directory / "huggingface"),
    }


_IN_PODS = Path("/tmp/longrun")  # noqa: S108 - writable for every user, also with a read-only root file system


def pod_variables() -> dict[str, str]:
    """Variables for every process of a task's pod, including Ray's, which start before any of our code."""
    return {
        **QUIET,
        **WAITING,
        **_caches(_IN_PODS),
        "NUMBA_CACHE_DIR": str(_IN_PODS / "numba"),
        # caches of others: torch's extensions, fontconfig
        "XDG_CACHE_HOME": str(_IN_PODS / "cache"),
        # torch and MLflow need a user name, which a user id without an entry in /etc/passwd does not have
        "LOGNAME": "longrun",
        # print a traceback after a crash in native code
        "PYTHONFAULTHANDLER": "1",
        # time for a stopped job to save its logs; 3 by default
        "RAY_JOB_STOP_WAIT_TIME_S": "20",
        # infra/pod/watch.py
        "_F_EXEC_WRAPPER": "python -m infra.pod.watch",
    }


def numba_cache(home: Path, components: Path = Path(__file__).parents[1] / "components") -> Path:
    """Directory of numba's cache: next to the components, shared by all homes, or in `home` if that is read-only.

    The path depends on the code, because numba notices a change only in a function's own file, not in functions that it calls.
    """
    parent = components / "__pycache__" if os.access(components, os.W_OK) else home / "cache"
    return parent / f"numba-{version_of(sorted(components.rglob('*.py')), components)}"


def keep_flyte_state(home: Path) -> None:
    """Make Flyte keep its state in `home`, which must exist, instead of the user's home directory."""
    config = home / "flyte" / "config.yaml"
    config.parent.mkdir(exist_ok=True)
    config.touch()
    os.environ["UCTL_CONFIG"] = str(config)


RETRY_VARIABLE = "LONGRUN_PATIENCE"
"""Variable with the number of seconds for which requests to a service that is down are retried."""

DEFAULT_RETRY_SECONDS = 300.0
"""Longer than the restart of an MLflow pod with its migration, or of a node of an object store."""


def retry_seconds() -> float:
    """Seconds for which requests to a service that is down are retried. Raises `ConfigError` if the variable is not a number."""
    text = os.environ.get(RETRY_VARIABLE) or str(DEFAULT_RETRY_SECONDS)
    seconds = float(text) if text.replace(".", "", 1).isdigit() else -1.0
    if seconds < 0:
        raise ConfigError(f"${RETRY_VARIABLE} is {text!r}; allowed: a number of seconds from 0, such as 300")
    return seconds
