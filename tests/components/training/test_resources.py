"""Memory and disk are asked for before training starts."""

import socket
from pathlib import Path

import pytest

from components.errors import ResourceError
from components.training.resources import FreeMemory, available_memory, require_disk, require_memory, require_memory_of

GIB = 2**30


def test_what_fits_is_let_through() -> None:
    require_memory(1, 1)


def test_more_than_is_free_is_refused_with_both_figures_and_the_machine() -> None:
    with pytest.raises(
        ResourceError, match=rf"{socket.gethostname()}: training needs about 1073741824\.0 GiB of .*, but only .* are free"
    ):
        require_memory(2**60, 0)


def test_the_workers_of_one_machine_count_together_and_those_of_others_do_not() -> None:
    require_memory_of([FreeMemory("a", 6 * GIB), FreeMemory("a", 6 * GIB), FreeMemory("b", 4 * GIB)], 3 * GIB, 0, 0)
    with pytest.raises(ResourceError, match=r"^a: training needs about 6\.0 GiB of memory, but only 5\.0 GiB are free"):
        require_memory_of([FreeMemory("b", 9 * GIB), FreeMemory("a", 5 * GIB), FreeMemory("a", 5 * GIB)], 3 * GIB, 0, 0)


def test_each_gpu_must_hold_what_its_worker_needs() -> None:
    rooms = [FreeMemory("a", 99 * GIB, 80 * GIB), FreeMemory("a", 99 * GIB, 60 * GIB), FreeMemory("b", 99 * GIB, 80 * GIB)]
    require_memory_of(rooms, 60 * GIB, 0, 0)
    with pytest.raises(ResourceError, match=r"^a: training needs about 61\.0 GiB of GPU memory, but only 60\.0 GiB are free"):
        require_memory_of(rooms, 61 * GIB, 0, 0)


def test_a_training_of_many_machines_needs_on_each_what_its_own_workers_do() -> None:
    require_memory_of(
        [FreeMemory(f"node-{worker // 8}", 640 * GIB, 80 * GIB) for worker in range(64)], 60 * GIB, 7 * 10**9, 7 * 10**9
    )


def test_the_copy_of_the_state_counts_besides_by_the_share_of_the_workers() -> None:
    require_memory_of([FreeMemory("a", 6 * GIB), FreeMemory("b", 6 * GIB)], 0, GIB, GIB)
    with pytest.raises(ResourceError, match=r"^b: training needs about 6\.0 GiB of memory"):
        require_memory_of([FreeMemory("a", 6 * GIB), FreeMemory("b", 5 * GIB)], 0, GIB, GIB)


def test_the_model_that_a_worker_makes_before_its_gpu_has_a_part_counts_in_the_hosts_memory() -> None:
    with pytest.raises(ResourceError, match=r"^a: training needs about 20\.0 GiB of memory"):
        require_memory_of([FreeMemory("a", 19 * GIB, 80 * GIB), FreeMemory("a", 19 * GIB, 80 * GIB)], 0, GIB, GIB)


def test_a_sharded_model_is_whole_on_the_machine_of_the_first_worker_alone() -> None:
    rooms = [FreeMemory("a", 10 * GIB, 80 * GIB), FreeMemory("b", 8 * GIB, 80 * GIB)]
    require_memory_of(rooms, 0, GIB, GIB // 2)
    with pytest.raises(ResourceError, match=r"^b: training needs about 10\.0 GiB of memory"):
        require_memory_of(rooms[::-1], 0, GIB, GIB // 2)


def test_checkpoints_that_fit_on_the_disk_are_let_through(tmp_path: Path) -> None:
    require_disk(tmp_path / "not" / "there", 10, 3)


def test_checkpoints_that_do_not_fit_on_the_disk_are_refused_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(
        ResourceError, match=r"not-there: 3 training checkpoints need about .* GiB of disk space, but only .* GiB are free"
    ):
        require_disk(tmp_path / "not-there", 2**50, 3)


def test_a_process_may_take_what_its_container_may_and_not_what_its_machine_has(tmp_path: Path) -> None:
    machine = available_memory(tmp_path / "no control group")
    assert machine > 0
    files = {
        "memory.max": f"{64 * 2**20}\n",
        "memory.current": f"{48 * 2**20}\n",
        "memory.stat": f"anon 1\ninactive_file {8 * 2**20}\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == 24 * 2**20
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(tmp_path) > 24 * 2**20
