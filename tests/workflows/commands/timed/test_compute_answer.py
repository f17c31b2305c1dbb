"""What accelerators compute in a time: the plan, its limits, and what a tenth more time brings."""

import dataclasses

import pytest

from components.scaling.config import Accelerators, ScalingConfig
from components.scaling.laws.law import Law
from components.scaling.laws.published import LAWS
from components.scaling.planning.planner import Planner
from components.scaling.planning.proposal import propose
from components.training.config import Choices, TrainingConfig
from tests.components.scaling.laws.test_files import FITTED
from workflows.commands.timed.compute_answer import ComputeAnswer


def answer(compute: float, law: Law = LAWS["deepseek"], text_bytes: float | None = None) -> ComputeAnswer:
    accelerators = Accelerators(gpus=64, gpu="h100")
    choices = Choices(training=TrainingConfig(micro_batch_tokens=4096))
    made = [
        propose(
            Planner(config=ScalingConfig(compute=factor * compute), choices=choices, vocab_size=102_400, law=law), accelerators
        )
        for factor in (1.0, 1.1)
    ]
    return ComputeAnswer(proposal=made[0], more=made[1], text_bytes=text_bytes)


def test_a_law_without_a_loss_says_how_much_larger_model_and_tokens_become() -> None:
    said = answer(1e21)
    (line,) = [line for line in said.lines() if line.startswith("limited by time")]
    assert "times the FLOPs per token on" in line
    assert said.gain is None
    growth = said.more.plan.tokens / said.proposal.plan.tokens
    assert f"{growth:.3f} times the tokens" in line


def test_a_law_with_a_loss_says_what_more_time_gains() -> None:
    said = answer(1e21, FITTED)
    assert said.gain is not None
    assert said.gain > 0
    assert any(f"{said.gain:.4f} less bits_per_byte" in line for line in said.lines())


@pytest.mark.parametrize(("text_bytes", "starts"), [(1e10, "limited by text"), (1e13, "text ")])
def test_a_text_limits_where_it_would_be_seen_more_than_four_times(text_bytes: float, starts: str) -> None:
    said = answer(1e21, text_bytes=text_bytes)
    (line,) = [line for line in said.lines() if "epochs" in line]
    assert line.startswith(starts)
    assert said.as_json()["limits"]["epochs"] == pytest.approx(4 * said.proposal.plan.tokens / text_bytes)  # type: ignore[index,call-overload]


def test_a_model_that_must_be_divided_is_limited_by_memory() -> None:
    assert any(line.startswith("limited by memory") for line in answer(1e24).lines())
    assert not any(line.startswith("limited by memory") for line in answer(1e20).lines())


def test_without_the_size_of_the_text_nothing_is_said_of_epochs() -> None:
    said = answer(1e21)
    assert said.epochs is None
    assert not any("epochs" in line for line in said.lines())
    assert dataclasses.replace(said, text_bytes=1e12).epochs is not None
