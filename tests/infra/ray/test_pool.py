"""The worker pool on a real local Ray: the promises of the port, processes that stay, and workers that are lost."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.errors import TrainingError
from tests.components.ports.worker_pool_suite import WorkerPoolSuite


def process(spec: int) -> Iterator[tuple[int, int]]:
    """The process that works, and its threads."""
    import torch

    yield os.getpid(), torch.get_num_threads()


def hand_over_and_wait(spec: tuple[Path, bool]) -> Iterator[str]:
    """Two pieces of work that each need the other to be under way."""
    directory, first = spec
    (directory / str(first)).touch()
    while not (directory / str(not first)).exists():
        pass
    yield "both"


def killed_once(directory: Path) -> Iterator[int]:
    """Work whose process is killed between its results, the first time."""
    yield 1
    if not (directory / "killed").exists():
        (directory / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    yield 2


def break_down(spec: int) -> Iterator[int]:
    """Work with a bug."""
    yield 1
    raise ValueError("a bug")


@pytest.fixture(scope="module")
def pool(local_ray: None) -> Iterator[Any]:
    """One for all tests: none of them may keep another from working."""
    from infra.ray import workers as ray_workers
    from infra.ray.pool import RayWorkerPool

    ray_workers.release()
    with RayWorkerPool() as pool:
        yield pool


@pytest.mark.ray
class TestRayWorkerPool(WorkerPoolSuite):
    def test_workers_have_one_thread_each_and_stay(self, pool: Any) -> None:
        values = [value for _, value in pool.stream(process, range(6))]
        assert {threads for _, threads in values} == {1}
        assert 1 <= len({process for process, _ in values}) <= pool.workers == 2
        assert os.getpid() not in {process for process, _ in values}

    def test_two_pieces_of_work_go_on_at_once(self, pool: Any, tmp_path: Path) -> None:
        assert len(list(pool.stream(hand_over_and_wait, [(tmp_path, True), (tmp_path, False)]))) == 2

    def test_a_lost_worker_begins_its_work_anew(self, pool: Any, tmp_path: Path) -> None:
        assert {value for _, value in pool.stream(killed_once, [tmp_path])} == {1, 2}

    def test_any_other_failure_is_a_training_error_with_its_reason(self, pool: Any) -> None:
        with pytest.raises(TrainingError, match="a bug"):
            list(pool.stream(break_down, [1]))
