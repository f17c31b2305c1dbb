"""Reads the log files of Ray's processes and workers, which disappear when the pod or the run ends."""

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.variables import variable

RAY_LOG_PATTERNS = ("gcs_server.out", "gcs_server.err", "raylet.out", "raylet.err", "job-driver-*.log")
"""Ray's own log files that show why a job ended. Runtime-environment logs are left out, because they contain environment
variables."""

MAX_RAY_LOG_BYTES = 256 * 2**10
"""Bytes that are read from the end of each of Ray's own files."""

MAX_WORKER_BYTES = 4 * 2**20
"""Bytes that are read from the end of each worker's file."""

MAX_WORKERS = 256
"""Maximum number of workers per node whose logs are returned; the newest are kept."""

REPLY_TIMEOUT_SECONDS = 10.0
"""Timeout for the other nodes of a cluster to return their logs."""

_RANK_LINE = re.compile(rb"^longrun: training worker (\d+) of \d+", re.MULTILINE)

_FILE = re.compile(r"worker-([0-9a-f]+)-[0-9a-f]+-(\d+)\.(?:out|err)")

_RAY_MARKERS = re.compile(r":(?:job_id|actor_name|task_name):")
"""Marker lines that Ray writes into a worker's log to say which job, actor or task the following output belongs to."""

_ERROR_PATTERN = re.compile(
    r"Error\b|Exception\b|Fatal|[Kk]illed|out of memory|Segmentation|SIG[A-Z]{3,}|Aborted|assert", re.ASCII
)


@dataclass(frozen=True, slots=True)
class WorkerLog:
    """The output of one worker: standard output, then standard error."""

    rank: int | None
    """Rank of a training worker; None for other workers."""
    modified_at: float
    """Time of the last write to the log, as Unix time."""
    data: bytes

    @property
    def likely_error_line(self) -> str:
        """The last line that looks like the reason why the process died; empty if there is none."""
        lines = [line.strip() for line in self.data.decode(errors="replace").splitlines() if not _RAY_MARKERS.match(line)]
        return next((line for line in reversed(lines) if _ERROR_PATTERN.search(line)), "")


def log_rank(rank: int, workers: int) -> None:
    """Write the rank of this training worker into its log, so that the log can be named after it."""
    sys.stdout.write(f"longrun: training worker {rank} of {workers}, process {os.getpid()}\n")
    sys.stdout.flush()


def default_directory() -> Path:
    """Directory of the logs of Ray's newest session on this machine, if Ray was started with its default directory."""
    return Path(variable("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "session_latest" / "logs"


def ray_logs(directory: Path) -> dict[str, bytes]:
    """File name -> the end of each of Ray's own log files on this node."""
    files = {
        path.name: _end_of(path, MAX_RAY_LOG_BYTES) for pattern in RAY_LOG_PATTERNS for path in sorted(directory.glob(pattern))
    }
    return {name: data for name, data in files.items() if data}


def logs_by_number(workers: Iterable[WorkerLog]) -> dict[int, bytes]:
    """Number -> log. A training worker's number is its rank; if several have the same rank, the newest gets it.

    All other logs are numbered after the highest rank.
    """
    ranked: dict[int, WorkerLog] = {}
    newest = sorted(workers, key=lambda log: -log.modified_at)
    rest = [log for log in newest if log.rank is None or ranked.setdefault(log.rank, log) is not log]
    named = ranked | dict(enumerate(reversed(rest), start=max(ranked, default=-1) + 1))
    return {number: named[number].data for number in sorted(named)}


def worker_logs(directory: Path) -> list[WorkerLog]:
    """The non-empty logs of workers in a session's log directory, newest first."""
    files: dict[str, list[Path]] = {}
    for path in directory.glob("worker-*"):
        if (match := _FILE.fullmatch(path.name)) is not None:
            files.setdefault(f"{match[1]}-{match[2]}", []).append(path)
    non_empty = [log for log in (_worker_log(sorted(paths, reverse=True)) for paths in files.values()) if log.data]
    return sorted(non_empty, key=lambda log: -log.modified_at)[:MAX_WORKERS]


def _worker_log(paths: list[Path]) -> WorkerLog:
    data = b"".join(_lines_of(path) for path in paths)
    introduction = _RANK_LINE.search(data)
    modified_at = max(path.stat().st_mtime for path in paths)
    return WorkerLog(int(introduction[1]) if introduction else None, modified_at, data)


def _lines_of(path: Path) -> bytes:
    lines = _end_of(path, MAX_WORKER_BYTES).splitlines(keepends=True)
    return b"".join(line for line in lines if not _RAY_MARKERS.match(line[:16].decode(errors="replace")))


def _end_of(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - size))
            return stream.read(size)
    except OSError:
        return b""


def likely_cause(since: float) -> str:
    """Suffix for an error message with the likely reason why a worker died; empty if none is found.

    Example: `; worker 0 printed last: …`.

    `since`: Unix time; workers without output after it are ignored.
    """
    logs = [*worker_logs(_directory_of_process()), *worker_logs_of_other_nodes()]
    for log in sorted(logs, key=lambda log: (log.rank is None, -log.modified_at)):
        if log.modified_at >= since and (line := log.likely_error_line):
            return f"; {'a worker' if log.rank is None else f'worker {log.rank}'} printed last: {line[:300]}"
    return ""


def worker_logs_of_other_nodes(address: str = "") -> list[WorkerLog]:
    """Worker logs of all other nodes of the connected Ray cluster; if not connected, connects to `address` first."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    here = ray.get_runtime_context().get_node_id()
    nodes: Any = ray.nodes()  # type: ignore[no-untyped-call]
    read = ray.remote(_worker_logs_of_this_node)
    waiting = [
        read.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in nodes
        if node["Alive"] and node["NodeID"] != here
    ]
    done = ray.wait(waiting, num_returns=len(waiting), timeout=REPLY_TIMEOUT_SECONDS)[0] if waiting else []
    return [log for of_node in ray.get(done) for log in of_node]


def _worker_logs_of_this_node() -> list[WorkerLog]:
    return worker_logs(_directory_of_process())


def _directory_of_process() -> Path:
    import ray

    node: Any = ray._private.worker._global_node  # Ray has no public API for a session's directory
    return Path(node.get_logs_dir_path())
