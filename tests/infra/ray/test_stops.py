"""What stops a process that trains: a signal, or the death of Ray. Each leaves one line, and no process."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from components.training.checkpoints.files import published, step_of
from tests.infra.ray.stops import INTERVAL
from tests.paths import ROOT

pytestmark = pytest.mark.ray


@contextmanager
def training(home: Path, workers: int) -> "Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]":
    """A process that has trained some steps, and the processes that it has started."""
    words = [sys.executable, "-m", "tests.infra.ray.stops", str(home), str(workers)]
    process = subprocess.Popen(words, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        while (line := process.stdout.readline().strip()) != "3":  # Ray prints lines of its own
            assert line, process.stderr.read() if process.stderr else ""
        yield process, psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()


def ended(process: "subprocess.Popen[str]", started: list[psutil.Process]) -> tuple[int, list[str], int]:
    """Status, our lines of standard error, and how many of the processes still exist when it has ended."""
    errors = process.communicate(timeout=120)[1]
    remaining = [child for child in started if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    return process.returncode, [line for line in errors.splitlines() if line.startswith("longrun: ")], len(remaining)


def saved_step(home: Path) -> int:
    checkpoints = published(home / "checkpoints")
    return step_of(checkpoints[0]) if checkpoints else 0


def test_sigterm_saves_at_the_next_step_and_ends_all_processes(tmp_path: Path) -> None:
    with training(tmp_path, 2) as (process, started):
        process.send_signal(signal.SIGTERM)
        assert ended(process, started) == (143, ["longrun: terminated"], 0)
    assert saved_step(tmp_path) % INTERVAL > 0


def test_ctrl_c_ends_all_processes_without_saving(tmp_path: Path) -> None:
    with training(tmp_path, 1) as (process, started):
        process.send_signal(signal.SIGINT)
        assert ended(process, started) == (130, ["longrun: interrupted"], 0)
    assert saved_step(tmp_path) % INTERVAL == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_the_death_of_ray_is_said(name: str, tmp_path: Path) -> None:
    with training(tmp_path, 1) as (process, started):
        (needed,) = [child for child in started if child.name() == name]
        needed.kill()
        line = f"longrun: Ray's process {name} died (signal 9)"
        assert ended(process, started) == (1, [line], 0)
