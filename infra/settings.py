"""The only reader of environment variables and of the user's configuration."""

import os
from dataclasses import dataclass
from pathlib import Path

from components.errors import HomeError

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

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where this user's longrun keeps its state."""

    home: Path
    """Everything longrun writes: artifacts, scratch, runs, MLflow, Flyte's and Ray's own state."""

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking and registry store: a SQLite file in the home."""
        return f"sqlite:///{self.home}/mlflow/mlflow.db"

    @property
    def runs(self) -> Path:
        """One directory of events and logs per run."""
        return self.home / "runs"


def settings(home: str | None = None) -> Settings:
    """Settings for `home`, else `$LONGRUN_HOME`, else `.longrun` in the current directory; telemetry is switched off."""
    quieten()
    chosen = home or os.environ.get("LONGRUN_HOME") or ".longrun"
    return Settings(home=Path(chosen).expanduser().absolute())


def quieten() -> None:
    """Put `QUIET` into the environment, so that every process started from here inherits it."""
    os.environ.update(QUIET)
    # Without bytecode every Ray worker compiles its imports again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def contain(home: Path) -> None:
    """Point the caches that libraries would keep elsewhere into `home`, for this process and those it starts."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(home / "cache" / "inductor")
    os.environ["TRITON_CACHE_DIR"] = str(home / "cache" / "triton")
    os.environ["NUMBA_CACHE_DIR"] = str(home / "cache" / "numba")
    os.environ["MPLCONFIGDIR"] = str(home / "cache" / "matplotlib")
    os.environ["HF_HOME"] = str(home / "cache" / "huggingface")


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


def variable(name: str) -> str | None:
    """The environment variable `name`: a profile, or a secret that a profile refers to; None where it is not set."""
    return os.environ.get(name)
