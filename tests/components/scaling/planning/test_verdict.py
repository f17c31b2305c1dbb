"""Verdicts: inside or outside, and what cannot be judged."""

from dataclasses import replace

import pytest

from components.errors import FitRefused
from components.scaling.planning.verdict import judge
from tests.components.scaling.ladder_truth import LADDER, expected, outcome, predicting

PLAN = LADDER.points()[0].plan


@pytest.mark.parametrize(
    ("factor", "position"), [(0.96, "below"), (0.98, "inside"), (1.0, "inside"), (1.02, "inside"), (1.04, "above")]
)
def test_what_came_out_is_inside_the_interval_or_not(factor: float, position: str) -> None:
    verdict = judge(predicting(PLAN, 0.97, 1.03), outcome(PLAN, factor * expected(PLAN)))
    assert verdict.position == position
    assert verdict.excess == pytest.approx(factor - 1)
    assert verdict.figure == "bits_per_byte"


def test_a_plan_that_predicts_nothing_is_not_judged() -> None:
    with pytest.raises(FitRefused, match="the plan predicts nothing"):
        judge(PLAN, outcome(PLAN, 1.0))


def test_a_training_without_the_predicted_figure_is_not_judged() -> None:
    with pytest.raises(FitRefused, match="has no bits_per_byte, which its plan predicts; it has: loss"):
        judge(predicting(PLAN, 0.9, 1.1), outcome(PLAN, None))
    assert judge(replace(predicting(PLAN, 0.9, 1.1), predicted_figure="loss"), outcome(PLAN, None)).actual == 1.0
