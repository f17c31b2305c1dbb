"""Estimates: the value that was fitted, and percentiles of what the bootstrap drew."""

import numpy as np
import pytest

from components.scaling.fitting.intervals import Estimate, estimate


def test_an_interval_holds_the_middle_95_percent_of_the_draws() -> None:
    draws = np.random.default_rng(0).permutation(np.linspace(0.0, 100.0, 1001))
    assert estimate(7.0, draws) == Estimate(7.0, pytest.approx(2.5), pytest.approx(97.5))  # type: ignore[arg-type]


def test_rounds_without_an_estimate_do_not_count() -> None:
    draws = np.array([1.0, 1.0, 1.0, np.nan, np.inf, -np.inf])
    assert estimate(1.0, draws) == Estimate(1.0, 1.0, 1.0)
