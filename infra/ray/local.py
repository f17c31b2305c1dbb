"""One Ray on this machine for a whole run, started when the first step needs it, with its state inside the home."""

import functools
import hashlib
import logging
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from infra.bundle import REPOSITORY
from infra.ray import workers as ray_workers
from infra.variables import UNPACKED

_MAX_ROOT = 40
"""Characters of Ray's directory: Unix socket paths end at 107 bytes, and Ray's take up to 67 below it."""


def ensure_ray(home: Path, *, cpus: int | None = None) -> float:
    """Start Ray unless this process has one already; the seconds it took, its import included."""
    started = time.monotonic()
    import ray

    if ray.is_initialized():
        return time.monotonic() - started
    state = home / "ray"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    token = state / "token"
    token.write_text(_token())
    token.chmod(0o600)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    ray.init(
        num_cpus=cpus or os.cpu_count(),
        include_dashboard=False,
        _temp_dir=str(_short_path(state)),
        logging_level=logging.ERROR,
        log_to_driver=True,
        runtime_env={"env_vars": {"PYTHONPATH": str(REPOSITORY), UNPACKED: str(state / "extensions")}},
    )
    return time.monotonic() - started


def leave_ray() -> None:
    """Dismiss this process's training workers, and leave its Ray, if it has one: its own ends with that.

    In this order: where Ray is shut down, as at the end of a process, under the thread that waits for a training's controller,
    that thread asks it again, and Ray's client then ends the process with a status of its own (core_worker_process.cc: "The core
    worker has already been shutdown"), if it does not crash on the way.
    """
    if (ray := sys.modules.get("ray")) is not None and ray.is_initialized():
        ray_workers.release()
        ray.shutdown()


def stop_ray(home: Path) -> None:
    """Leave Ray, and remove the state of this process's own."""
    leave_ray()
    link = _link(home / "ray")
    if link.is_symlink():
        link.unlink()
    shutil.rmtree(home / "ray", ignore_errors=True)


@functools.cache
def _token() -> str:
    """The token of every Ray that this process starts: Ray reads it once in a process."""
    return secrets.token_hex(32)


def _short_path(state: Path) -> Path:
    if len(str(state)) <= _MAX_ROOT:
        return state
    link = _link(state)
    if link.is_symlink():
        link.unlink()
    link.symlink_to(state)
    return link


def _link(state: Path) -> Path:
    name = f"longrun-{hashlib.sha256(str(state).encode()).hexdigest()[:8]}"
    # Ray's own default is below /tmp too; a user's TMPDIR may be too long for its sockets.
    paths = [Path(tempfile.gettempdir()) / name, Path("/tmp") / name]  # noqa: S108 - the name is the home's own
    return next((path for path in paths if len(str(path)) <= _MAX_ROOT), paths[-1])
