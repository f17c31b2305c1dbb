"""Starts and stops Ray on this machine: once per run, when the first step needs it, with its state inside the home.

Each run has its own Ray, in its own directory, so runs in one home do not disturb each other.
"""

import functools
import hashlib
import logging
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from infra.bundle import PROJECT_ROOT
from infra.process_end import end_because, handle_signals
from infra.ray import workers as ray_workers
from infra.variables import UNPACKED

_MAX_ROOT = 40
"""Longest path of Ray's directory, in characters: Unix socket paths have at most 107 bytes, and Ray's add up to 67."""


_NEEDED = ("gcs_server", "raylet")
"""Processes without which Ray cannot work, by Ray's names."""

_WATCH_SECONDS = 0.5
"""Seconds between two looks at Ray's processes."""

_leaving = threading.Event()
"""Set while this process ends the Ray that it has started."""


def ensure_ray(state: Path, *, cpus: int | None = None) -> float:
    """Start Ray unless this process uses one already; returns the seconds that this took, including the import.

    `state`: directory for the state of this Ray alone; what an earlier one has left there is deleted.
    """
    started = time.monotonic()
    import ray

    if ray.is_initialized():
        return time.monotonic() - started
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
        runtime_env={"env_vars": {"PYTHONPATH": str(PROJECT_ROOT), UNPACKED: str(state / "extensions")}},
    )
    handle_signals()  # in the main thread, Ray has just set a handler for SIGTERM, which would end this process without a word
    _watch(ray._private.worker._global_node)  # Ray has no public API for its processes
    return time.monotonic() - started


def _watch(node: Any) -> None:
    """End this process if Ray's own processes die: its client would do so after 15 to 60 s, without a word."""
    _leaving.clear()

    def watch() -> None:
        while not _leaving.wait(_WATCH_SECONDS):
            for kind, process in node.dead_processes():
                if kind in _NEEDED and not _leaving.is_set():
                    end_because(f"Ray's process {kind} died ({_status(process.returncode)})")
                    return

    threading.Thread(target=watch, daemon=True, name="ray-watch").start()


def _status(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def leave_ray() -> None:
    """Dismiss this process's training workers and disconnect from Ray, if connected; a Ray that this process started ends.

    The order matters. If Ray shuts down first, the thread that waits for a training's controller calls it again. Ray's client
    then ends the process with its own exit code (core_worker_process.cc: "The core worker has already been shutdown"), or
    crashes.
    """
    if (ray := sys.modules.get("ray")) is not None and ray.is_initialized():
        _leaving.set()
        ray_workers.release()
        ray.shutdown()


def stop_ray(state: Path) -> None:
    """Disconnect from Ray, and delete the state of the Ray that this process started."""
    leave_ray()
    delete_state(state)


def delete_state(state: Path) -> None:
    """Delete the state of a Ray that has ended, and the link to it."""
    link = _link(state)
    if link.is_symlink():
        link.unlink()
    shutil.rmtree(state, ignore_errors=True)


@functools.cache
def _token() -> str:
    """The token of every Ray that this process starts. There is one, because Ray reads it only once per process."""
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
