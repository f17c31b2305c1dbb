"""Plans are values."""

import dataclasses

import pytest

from components.artifacts import Point
from tests.components.artifacts.samples import PLAN


def test_points_of_one_plan_and_seed_are_one_and_nobody_changes_them() -> None:
    point = Point(budget=1e12, plan=PLAN, seed=0)
    assert point == Point(budget=1e12, plan=dataclasses.replace(PLAN), seed=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.seed = 1  # type: ignore[misc]
