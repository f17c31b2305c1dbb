"""Training with fewer workers than were asked for, and after the loss of a worker or a node."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from components.ports import InProcessLauncher, RecordedMetrics, SilentMetrics, TrainingReporter
from tests.infra.ray.elastic import INTERVAL, LOST_AFTER, work
from tests.paths import ROOT

pytestmark = pytest.mark.ray


TOLERANCE = 5e-3
"""Of losses in bf16, relative: the workers' sums are rounded in another order."""


@pytest.fixture
def launcher(local_ray: None, tmp_path: Path) -> Iterator[Any]:
    from infra.ray.train import RayLauncher
    from infra.ray.workers import release

    yield RayLauncher(storage_path=tmp_path / "ray-train", threads_per_worker=1)
    release()


def rank_of(spec: str, reporter: TrainingReporter) -> tuple[int, int]:
    """Where a worker finds itself."""
    return reporter.rank, reporter.world_size


@pytest.mark.slow
def test_as_many_workers_as_there_is_room_for_begin_where_fewer_are_enough(launcher: Any) -> None:
    ranks = launcher.launch(rank_of, "", workers=3, min_workers=1, metrics=RecordedMetrics())
    assert ranks == [(0, 2), (1, 2)]


def test_fewer_workers_than_are_enough_are_refused(launcher: Any) -> None:
    with pytest.raises(ConfigError, match="3 workers with 1 CPUs each; allowed: 1 to 2 on 2 CPUs"):
        launcher.launch(rank_of, "", workers=4, min_workers=3, metrics=RecordedMetrics())


@pytest.mark.slow
@pytest.mark.parametrize(("what", "workers"), [("worker", 2), ("node", 1)])
def test_training_goes_on_by_itself_after_a_loss_with_those_that_are_left(what: str, workers: int, tmp_path: Path) -> None:
    whole, fragile = tmp_path / "whole", tmp_path / "fragile"
    whole.mkdir()
    fragile.mkdir()
    (whole / "lost").touch()
    (losses,) = InProcessLauncher().launch(work, whole, workers=1, metrics=SilentMetrics())
    command = [sys.executable, "-m", "tests.infra.ray.elastic", str(fragile), what]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    outcome = json.loads(ended.stdout.splitlines()[-1])
    assert (outcome["workers"], outcome["results"]) == (workers, workers)
    assert outcome["resumed_from"] == LOST_AFTER - LOST_AFTER % INTERVAL
    assert outcome["losses"] == pytest.approx(losses, rel=TOLERANCE)
