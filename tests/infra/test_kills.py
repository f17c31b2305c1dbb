"""kill -9 at seeded points: no training loses more than was being written, and each ends as if it had not been killed."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.errors import TrainingError
from components.ports import SilentMetrics
from tests.infra.ray.kills import INTERVAL, KINDS, STEPS, Kill, Training, work
from tests.paths import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


Train = Callable[[Path, Kill | None], tuple[int, str]]


@pytest.fixture(scope="module")
def launch(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Train]:
    """Train in this process's Ray, by workers that stay while none of them is killed."""
    from infra.ray.train import RayLauncher
    from infra.ray.workers import release

    launcher = RayLauncher(storage_path=tmp_path_factory.mktemp("ray-train"))

    def train(directory: Path, kill: Kill | None) -> tuple[int, str]:
        outcomes: list[Any] = launcher.launch(work, Training(directory, kill, os.getpid()), workers=2, metrics=SilentMetrics())
        return outcomes[0]

    yield train
    release()


@pytest.fixture(scope="module")
def whole(launch: Train, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the training that nobody kills."""
    return launch(tmp_path_factory.mktemp("whole"), None)[1]


def drive(directory: Path, kill: Kill) -> int:
    """Train in a process that has a Ray of its own; its exit status."""
    words = [directory, kill.kind, kill.step, kill.rank, kill.waits]
    command = [sys.executable, "-m", "tests.infra.ray.kills", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def survive(kill: Kill, directory: Path, launch: Train) -> tuple[int, str]:
    """Train with a kill, again where the trainer did not survive it."""
    if kill.kind == "tree":
        assert drive(directory, kill) == -signal.SIGKILL
        return launch(directory, None)
    try:
        return launch(directory, kill)
    except TrainingError:
        assert kill.kind == "controller"
        return launch(directory, None)


def hold(kill: Kill, directory: Path, launch: Train, whole: str) -> None:
    """The promise."""
    resumed_from, digest = survive(kill, directory, launch)
    assert (directory / "killed").exists()
    assert digest == whole
    # Where nobody waited, one checkpoint may have been on its way to the disk; the one before it is whole, or there was none.
    assert resumed_from >= (kill.due if kill.waits else kill.due - INTERVAL)


def seeded(seed: int, kind: str) -> Kill:
    """A kill at a step and by a worker that the seed says; every second one while a checkpoint may be on its way."""
    chance = random.Random(f"{seed}/{kind}")
    return Kill(kind, chance.randint(1, STEPS - 1), chance.randint(0, 1), waits=seed % 2 == 0)


@pytest.mark.parametrize("kind", ["controller", "tree"])
def test_a_killed_training_ends_as_if_it_had_not_been(kind: str, launch: Train, whole: str, tmp_path: Path) -> None:
    hold(seeded(0, kind), tmp_path, launch, whole)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1, 11))
def test_thirty_killed_trainings_end_as_if_they_had_not_been(
    seed: int, kind: str, launch: Train, whole: str, tmp_path: Path
) -> None:
    hold(seeded(seed, kind), tmp_path, launch, whole)
