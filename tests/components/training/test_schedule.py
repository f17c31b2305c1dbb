"""The learning rate as a function of the step."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from components.training.config import CheckpointConfig, ScheduleConfig, TrainingConfig, TrainingSettings
from components.training.schedule import common_steps, learning_rate

MULTI_STEP = ScheduleConfig()


def settings(schedule: ScheduleConfig = MULTI_STEP, permanent: tuple[float, ...] = (), **length: Any) -> TrainingSettings:
    config = TrainingConfig(schedule=schedule, checkpoints=CheckpointConfig(permanent=permanent))
    return TrainingSettings(config=config, **{"steps": 1000, "learning_rate": 4.2e-4, "warmup_steps": 20} | length)


def test_the_multi_step_schedule_has_the_figures_of_the_paper() -> None:
    rates = [learning_rate(step, settings()) / 4.2e-4 for step in (0, 9, 19, 20, 799, 800, 899, 900, 999)]
    assert rates == pytest.approx([0.05, 0.5, 1, 1, 1, 0.316, 0.316, 0.1, 0.1])


def test_the_cosine_falls_from_the_maximum_to_its_final_share() -> None:
    cosine = settings(schedule=ScheduleConfig(kind="cosine"))
    assert learning_rate(20, cosine) == pytest.approx(4.2e-4)
    assert learning_rate(510, cosine) == pytest.approx(4.2e-4 * 0.55)
    assert learning_rate(999, cosine) == pytest.approx(4.2e-5, rel=1e-3)


def test_the_constant_schedule_stays_at_the_maximum() -> None:
    assert learning_rate(999, settings(schedule=ScheduleConfig(kind="constant"))) == 4.2e-4


@given(
    kind=st.sampled_from(["multi-step", "cosine", "constant"]),
    steps=st.integers(1, 10_000),
    share=st.floats(0, 1),
    progress=st.floats(0, 1, exclude_max=True),
)
def test_the_rate_is_positive_and_never_above_the_maximum(kind: str, steps: int, share: float, progress: float) -> None:
    config = settings(steps=steps, warmup_steps=int(share * steps), schedule=ScheduleConfig(kind=kind))
    assert 0 < learning_rate(int(progress * steps), config) <= 4.2e-4


@given(steps=st.integers(2, 1_000), kind=st.sampled_from(["multi-step", "cosine"]))
@examples(max_examples=30, deadline=None)
def test_the_rate_never_rises_after_the_warm_up(steps: int, kind: str) -> None:
    config = settings(steps=steps, warmup_steps=0, schedule=ScheduleConfig(kind=kind))
    rates = [learning_rate(step, config) for step in range(steps)]
    assert rates == sorted(rates, reverse=True)


@given(steps=st.integers(1, 10_000), share=st.floats(0.01, 0.99))
def test_a_permanent_checkpoint_at_a_milestone_is_the_last_before_the_rate_drops(steps: int, share: float) -> None:
    schedule = ScheduleConfig(milestones=(share,), factors=(0.3,))
    config = settings(steps=steps, warmup_steps=0, schedule=schedule, permanent=(share,))
    assert config.permanent_steps == {common_steps(config)}


@pytest.mark.parametrize("steps", [1, 2, 7, 10, 155, 1000])
def test_two_trainings_have_the_rates_of_the_common_steps_in_common_and_not_the_next(steps: int) -> None:
    short, long = (settings(steps=count, learning_rate=1.0, warmup_steps=1) for count in (steps, 10 * steps))
    common = common_steps(short)
    assert [learning_rate(step, short) for step in range(common)] == [learning_rate(step, long) for step in range(common)]
    assert common == steps or learning_rate(common, short) < learning_rate(common, long)


def test_a_cosine_has_nothing_in_common_with_a_longer_one_and_a_constant_rate_everything() -> None:
    cosine, constant = (
        settings(steps=10, learning_rate=1.0, warmup_steps=1, schedule=ScheduleConfig(kind=kind))
        for kind in ("cosine", "constant")
    )
    assert (common_steps(cosine), common_steps(constant)) == (0, 10)
