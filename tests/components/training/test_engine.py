"""The process group of a training, and what its engine asks of DeepSpeed and gives back."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from components.errors import TrainingError
from components.training.engine import BUCKET, PREFETCHED, Engine, process_group
from components.training.parallel.layout import ParallelLayout
from components.training.parallel.placement import Coordinates
from tests.components.training.conftest import NextToken, settings, small_model

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
    with pytest.raises(TrainingError, match="the process group has 0 workers, this training 2"), process_group(CPU, 2):
        pass


@pytest.mark.parametrize(("zero_stage", "overlaps"), [(1, False), (3, True)])
def test_deepspeed_has_understood_what_overlaps_and_how_much_is_sent_at_once(zero_stage: int, overlaps: bool) -> None:
    layout = ParallelLayout(zero_stage=zero_stage)
    with process_group(CPU, 1):
        engine = Engine(small_model(), NextToken(), settings(layout=layout).config, "bf16", Coordinates.of(layout, 0, 1), CPU)
        resolved = engine._engine._config.zero_config
        engine.close()
    assert (resolved.stage, resolved.overlap_comm, resolved.reduce_scatter) == (zero_stage, overlaps, True)
    assert (resolved.reduce_bucket_size, resolved.allgather_bucket_size) == (BUCKET, BUCKET)
    assert resolved.prefetch_bucket_size == PREFETCHED


def test_a_training_in_zero_3_leaves_the_products_of_other_models_as_they_were() -> None:
    layout, before = ParallelLayout(zero_stage=3), nn.functional.linear
    with process_group(CPU, 1):
        engine = Engine(small_model(), NextToken(), settings(layout=layout).config, "fp32", Coordinates.of(layout, 0, 1), CPU)
        during = nn.functional.linear
        engine.close()
    assert during is not before
    assert nn.functional.linear is before
