"""The pipeline's phases against DeepSpeed's schedule. What two stages compute is in test_placement.py."""

import pytest

from components.training import meters
from components.training.deepspeed_library import deepspeed
from components.training.parallel.pipeline import PHASES


@pytest.fixture(scope="module")
def instructions() -> set[str]:
    """Names of all instructions in DeepSpeed's training schedules of three stages."""
    deepspeed()
    from deepspeed.runtime.pipe.schedule import TrainSchedule

    schedules = (TrainSchedule(micro_batches=5, stages=3, stage_id=stage) for stage in range(3))
    return {type(instruction).__name__ for schedule in schedules for step in schedule for instruction in step}


def test_every_instruction_of_a_schedule_is_timed_but_the_update_which_is_the_engines(instructions: set[str]) -> None:
    assert instructions - PHASES.keys() == {"OptimizerStep"}


def test_no_phase_is_of_an_instruction_that_deepspeed_no_longer_has(instructions: set[str]) -> None:
    assert PHASES.keys() <= instructions


def test_every_phase_is_one_that_the_stopwatch_knows() -> None:
    assert set(PHASES.values()) <= set(meters.PHASES)
