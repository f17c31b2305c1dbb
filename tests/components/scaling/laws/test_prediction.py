"""Predicted losses and their intervals."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.scaling.laws.law import LossLaw
from components.scaling.laws.prediction import predict, quantile

LOSS = LossLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)


def test_the_expected_loss_is_the_laws() -> None:
    said = predict(LOSS, 1e9, 2e10)
    assert said.loss == pytest.approx(1.8 + 480 / 1e9**0.35 + 2100 / 2e10**0.37)
    assert said.low == said.high == said.loss


def test_the_interval_covers_the_draws_and_the_scatter_of_single_runs() -> None:
    draws = tuple((1.8, 480.0, 2100.0, 0.35, 0.37, residual / 1000) for residual in range(-100, 101))
    said = predict(dataclasses.replace(LOSS, draws=draws), 1e9, 2e10)
    assert math.log(said.low / said.loss) == pytest.approx(-0.095, rel=1e-3)
    assert math.log(said.high / said.loss) == pytest.approx(0.095, rel=1e-3)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=20), share=st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], share: float) -> None:
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-12)
