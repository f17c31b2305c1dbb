"""The only reader of environment variables and of the user's configuration."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from components.errors import ConfigError, HomeError, require

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

REPOSITORY = Path(__file__).resolve().parent.parent

HERE = "home"
"""What stands for a place in the home, where a bucket or a server may be named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where this user's longrun keeps its state."""

    home: Path
    """Everything longrun writes on this machine: artifacts or copies, scratch, runs, MLflow, Flyte's and Ray's own state."""
    artifact_root: str = HERE
    """Where artifacts are kept: s3://bucket/prefix, gs://bucket/prefix, or the home."""
    mlflow_uri: str = HERE
    """MLflow's tracking and registry server: http:// or https://, or a SQLite file in the home."""

    def __post_init__(self) -> None:
        for name, schemes in (("artifact_root", ("s3", "gs")), ("mlflow_uri", ("http", "https"))):
            if getattr(self, name) != HERE:
                require_url(self, name, schemes, or_else=f" or {HERE}")

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking and registry store, as MLflow calls it."""
        return self.mlflow_uri if self.mlflow_uri != HERE else f"sqlite:///{self.home}/mlflow/mlflow.db"

    @property
    def record(self) -> Path:
        """The file that remembers where the record of this home's runs is kept."""
        return self.home / "record.toml"

    @property
    def runs(self) -> Path:
        """One directory of events and logs per run."""
        return self.home / "runs"


def settings(home: str | None = None, *, artifact_root: str = "", mlflow_uri: str = "") -> Settings:
    """Settings for `home`, else `$LONGRUN_HOME`, else `.longrun` in the current directory; telemetry is switched off.

    Artifacts and MLflow are where the arguments say, else where the profile in `$LONGRUN_PROFILE` says, else where the
    home's last run kept them, else in the home.

    Raises:
        ConfigError: a place is none, or the home's file of places is damaged.
    """
    from infra.profiles import profile_of_process

    quieten()
    chosen = Settings(home=Path(home or os.environ.get("LONGRUN_HOME") or ".longrun").expanduser().absolute())
    profile = profile_of_process()
    known = {name: str(getattr(profile, name)) for name in _PLACES} if profile else _remembered(chosen.record)
    return replace(
        chosen,
        artifact_root=artifact_root or known.get("artifact_root", HERE),
        mlflow_uri=mlflow_uri or known.get("mlflow_uri", HERE),
    )


_PLACES = ("artifact_root", "mlflow_uri")


def remember(chosen: Settings) -> None:
    """Let later commands in this home find the record where `chosen` keeps it. No secret is in it: `Settings` refuses them."""
    if all(getattr(chosen, name) == HERE for name in _PLACES):
        chosen.record.unlink(missing_ok=True)
        return
    beside = chosen.record.with_suffix(".new")
    # a JSON string is a TOML string too
    beside.write_text("".join(f"{name} = {json.dumps(getattr(chosen, name))}\n" for name in _PLACES), encoding="utf-8")
    beside.replace(chosen.record)


def _remembered(path: Path) -> Mapping[str, str]:
    try:
        return {name: str(value) for name, value in tomllib.loads(path.read_text(encoding="utf-8")).items() if name in _PLACES}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; remove it, and name both places at the next run") from error


def require_url(owner: object, name: str, schemes: tuple[str, ...], *, or_else: str = "") -> None:
    """Raise `ConfigError` unless the field `name` is a plain URL. A wrong one is not repeated: it may hold a password."""
    value = getattr(owner, name)
    try:
        parts = urlsplit(value)
        secret = "@" in value or bool(parts.query or parts.fragment)
        good = parts.scheme in schemes and bool(parts.netloc or (parts.scheme == "dns" and parts.path.strip("/")))
        # reading the port proves that it is one
        good = good and (parts.port is None or parts.port > 0)
    except ValueError:
        secret, good = True, False
    if secret:
        raise ConfigError(
            f"{type(owner).__name__}.{name} holds a user, a password, a query or a wrong host; "
            "allowed: the plain URL, secrets in the environment or by reference"
        )
    allowed = " or ".join(f"{scheme}://…" for scheme in schemes) + or_else
    require(good and value.isprintable() and " " not in value, owner, name, value, allowed)


def object_store_endpoint(root: str) -> str:
    """URL of an S3 API other than Amazon's for a root in S3, from where Amazon's own tools take it, else from the profile."""
    from infra.profiles import profile_of_process

    if not root.startswith("s3://"):
        return ""
    profile = profile_of_process()
    own = profile.object_store_endpoint if profile else ""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or own


def quieten() -> None:
    """Put `QUIET`, and of `WAITING` what the user did not choose, into the environment of this process and those it starts."""
    os.environ.update(QUIET)
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    # Without bytecode every Ray worker compiles its imports again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def contain(home: Path) -> None:
    """Point the caches that libraries would keep elsewhere into `home`, for this process and those it starts."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(home / "cache" / "inductor")
    os.environ["TRITON_CACHE_DIR"] = str(home / "cache" / "triton")
    os.environ["NUMBA_CACHE_DIR"] = str(machine_code(home))
    os.environ["MPLCONFIGDIR"] = str(home / "cache" / "matplotlib")
    os.environ["HF_HOME"] = str(home / "cache" / "huggingface")


def machine_code(home: Path, components: Path = Path(__file__).parents[1] / "components") -> Path:
    """Where numba keeps what it compiled: beside the components, where all homes share it, or in `home` if those are read-only.

    Other code has another place, because numba sees a change only in the file of a function, not in those that it calls.
    """
    from infra.bundle import version_of

    place = components / "__pycache__" if os.access(components, os.W_OK) else home / "cache"
    return place / f"numba-{version_of(sorted(components.rglob('*.py')), components)}"


def keep_flyte_state(home: Path) -> None:
    """Let Flyte keep what it remembers of submissions in `home`, which must exist, and not in the user's own home."""
    config = home / "flyte" / "config.yaml"
    config.parent.mkdir(exist_ok=True)
    config.touch()
    os.environ["UCTL_CONFIG"] = str(config)


def usable_home(home: Path) -> Path:
    """Create `home` if needed and prove that it can be written.

    Raises:
        HomeError: it is a file, or cannot be created or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".writable-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise HomeError(f"home {home} cannot be used: {error.strerror}; choose another with --home") from error
    return home


def set_variable(name: str, value: str) -> None:
    """Set an environment variable of this process and of those it starts."""
    os.environ[name] = value


PATIENCE = "LONGRUN_PATIENCE"

DEFAULT_PATIENCE = 300.0
"""Seconds: a pod of MLflow with its migration, or a node of an object store, is back in less."""


def patience_seconds() -> float:
    """How long a service that does not answer is waited for. Raises `ConfigError` for what is no number of seconds."""
    text = os.environ.get(PATIENCE) or str(DEFAULT_PATIENCE)
    seconds = float(text) if text.replace(".", "", 1).isdigit() else -1.0
    if seconds < 0:
        raise ConfigError(f"${PATIENCE} is {text!r}; allowed: a number of seconds, such as 300")
    return seconds


def variable(name: str) -> str | None:
    """The environment variable `name`: a profile, or a secret that a profile refers to; None where it is not set."""
    return os.environ.get(name)
