"""The process group of a training."""

import pytest
import torch
import torch.distributed as dist

from components.errors import TrainingError
from components.training.engine import process_group

CPU = torch.device("cpu")


def test_a_single_worker_gets_a_group_of_its_own_again_and_again() -> None:
    for _ in range(2):
        with process_group(CPU, 1):
            assert dist.get_world_size() == 1
        assert not dist.is_initialized()


def test_a_group_that_exists_is_used_and_left_alone() -> None:
    with process_group(CPU, 1):
        with process_group(CPU, 1):
            assert dist.is_initialized()
        assert dist.is_initialized()


def test_several_workers_without_a_group_are_refused() -> None:
    with pytest.raises(TrainingError, match="a process group of 0 workers; this training has 2"), process_group(CPU, 2):
        pass
