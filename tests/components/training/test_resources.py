"""Memory and disk are asked for before training starts."""

from pathlib import Path

import psutil
import pytest

from components.errors import ResourceError
from components.training.resources import require_disk, require_memory


def test_what_fits_is_let_through() -> None:
    require_memory(1, 1)


def test_more_than_is_free_is_refused_with_both_figures() -> None:
    with pytest.raises(ResourceError, match=r"needs about 1073741824\.0 GiB of .*memory, .* GiB are free"):
        require_memory(2**60, 1)


def test_all_workers_of_a_machine_without_a_gpu_count_together() -> None:
    half = psutil.virtual_memory().total // 2
    with pytest.raises(ResourceError):
        require_memory(half, 3)


def test_the_copy_of_the_state_counts_besides() -> None:
    require_memory(1, 1, parameters=1)
    with pytest.raises(ResourceError, match=r"12884901888\.0 GiB of memory"):
        require_memory(1, 1, parameters=2**60)


def test_checkpoints_that_fit_on_the_disk_are_let_through(tmp_path: Path) -> None:
    require_disk(tmp_path / "not" / "there", 10, 3)


def test_checkpoints_that_do_not_fit_on_the_disk_are_refused_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"not-there: 3 training checkpoints need about .* GiB of disk, .* GiB are free"):
        require_disk(tmp_path / "not-there", 2**50, 3)
