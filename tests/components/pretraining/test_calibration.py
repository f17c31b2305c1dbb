"""Step times are measured with real trainings, within the time that is given."""

import pytest
import torch

from components.artifacts.step_times import StepSize
from components.errors import ResourceError
from components.pretraining.calibration import ROUNDS, sizes_for, step_times
from components.scaling.planning.rates import COSTS, counts
from tests.components.artifacts.test_step_times import SHAPE
from tests.training_configs import training_config

SIZES = [StepSize(shape=SHAPE, sequence_length=32, batch_size=batch, micro_batch_size=2) for batch in (2, 32)]


@pytest.mark.long
def test_every_size_is_measured_in_every_round_and_more_passes_take_longer() -> None:
    small, large = step_times(SIZES, training_config(precision="fp32"), seconds=4.0)
    assert [time.size for time in (small, large)] == SIZES
    assert len(small.medians) == len(large.medians) == ROUNDS
    assert small.seconds < large.seconds


@pytest.mark.long
def test_a_machine_that_is_too_slow_for_the_time_is_refused_with_what_is_missing() -> None:
    with pytest.raises(ResourceError, match="0 s were too short to measure the steps of 2 models, 2 are missing"):
        step_times(SIZES, training_config(precision="fp32"), seconds=0.0)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_sizes_of_a_device_differ_in_every_cost_and_are_enough_to_fit_them(device: str) -> None:
    sizes = sizes_for(torch.device(device))
    rows = torch.tensor([[counts(size)[cost] / counts(size)["activations"] for cost in COSTS] for size in sizes.fitted])
    assert torch.linalg.matrix_rank((rows / rows.norm(dim=0)).double()) == len(COSTS)
    assert not set(sizes.fitted) & set(sizes.held_out)
    assert all(size.micro_batch_size * size.sequence_length <= sizes.micro_batch_tokens for size in sizes.fitted)
