"""kill -9 at seeded points: no training loses more than was being written, and each ends as if it had not been killed."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import TrainingError
from components.ports import SilentMetrics
from tests.infra.kills import INTERVAL, KINDS, STEPS, Kill, Training, work

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the training that nobody kills."""
    _, digest = launch(tmp_path_factory.mktemp("whole"), None)
    return digest


@pytest.fixture(scope="module", autouse=True)
def _released(local_ray: None) -> Iterator[None]:
    from infra.ray_workers import release

    yield
    release()


def launch(place: Path, kill: Kill | None) -> tuple[int, str]:
    """Train in this process's Ray."""
    from infra.ray_train import RayLauncher

    launcher = RayLauncher(storage_path=place / "ray-train")
    found: tuple[int, str] = launcher.launch(work, Training(place, kill, os.getpid()), workers=2, metrics=SilentMetrics())[0]
    return found


def drive(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Train in a process that has a Ray of its own."""
    command = [sys.executable, "-m", "tests.infra.kills", str(place), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def survive(kill: Kill, place: Path) -> tuple[int, str]:
    """Train with a kill, again if the driver did not survive it either."""
    if kill.kind == "tree":
        assert drive(place, kill.kind, kill.step, kill.rank).returncode == -signal.SIGKILL
        resumed_from, digest = json.loads(drive(place, "none", 0, 0).stdout.splitlines()[-1])
        return resumed_from, digest
    try:
        return launch(place, kill)
    except TrainingError:
        assert kill.kind == "controller"
        return launch(place, None)


def hold(kill: Kill, place: Path, whole: str) -> None:
    """The promise."""
    resumed_from, digest = survive(kill, place)
    assert (place / "killed").exists()
    assert digest == whole
    # One checkpoint at most was on its way to the disk; the one before it is whole, or there was none before it.
    assert resumed_from >= kill.step - kill.step % INTERVAL - INTERVAL


def seeded(seed: int, kind: str) -> Kill:
    """A kill at a step and by a worker that the seed says."""
    chance = random.Random(f"{seed}/{kind}")
    return Kill(kind, chance.randint(1, STEPS - 1), chance.randint(0, 1))


# What Ray Train leaves behind a dead controller prints into the output of later tests until its Ray ends.
@pytest.mark.parametrize("kind", [pytest.param("controller", marks=pytest.mark.slow), "tree"])
def test_a_killed_training_ends_as_if_it_had_not_been(kind: str, whole: str, tmp_path: Path) -> None:
    hold(seeded(0, kind), tmp_path, whole)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1, 11))
def test_thirty_killed_trainings_end_as_if_they_had_not_been(seed: int, kind: str, whole: str, tmp_path: Path) -> None:
    hold(seeded(seed, kind), tmp_path, whole)
