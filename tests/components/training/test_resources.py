"""Memory is asked for before training starts."""

import psutil
import pytest

from components.errors import ResourceError
from components.training.resources import require_memory


def test_what_fits_is_let_through() -> None:
    require_memory(1, 1)


def test_more_than_is_free_is_refused_with_both_figures() -> None:
    with pytest.raises(ResourceError, match=r"needs about 1073741824\.0 GiB of .*memory, .* GiB are free"):
        require_memory(2**60, 1)


def test_all_workers_of_a_machine_without_a_gpu_count_together() -> None:
    half = psutil.virtual_memory().total // 2
    with pytest.raises(ResourceError):
        require_memory(half, 3)
