"""IsoFLOP profiles: known optima, budgets found in jittered tables, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import FitRefused
from components.scaling.fitting.isoflop import IsoFlop, budgets, fit_isoflop
from components.scaling.fitting.robust import Array
from components.scaling.laws.law import allocation
from tests.components.scaling.fitting.conftest import TRUTH, drawn

N_EXPONENT = TRUTH.beta / (TRUTH.alpha + TRUTH.beta)


def fitted(n: Array, d: Array, c: Array, loss: Array) -> IsoFlop:
    return fit_isoflop(n, d, c, loss, rounds=300, seed=0)


def test_data_without_noise_gives_the_exponents_and_nearly_the_optima_back() -> None:
    fit = fitted(*drawn(0, noise=0.0))
    assert fit.n_exponent.value == pytest.approx(N_EXPONENT, abs=2e-3)
    assert fit.d_exponent.value == pytest.approx(1 - N_EXPONENT, abs=2e-3)
    model, tokens = allocation(TRUTH, 6.0)
    for profile in fit.profiles:
        assert profile.n_optimum.value == pytest.approx(model.at(profile.compute), rel=0.1)
        assert profile.d_optimum.value == pytest.approx(tokens.at(profile.compute), rel=0.1)


def test_the_stated_interval_covers_the_exponent_in_most_draws() -> None:
    hits = 0
    for seed in range(20):
        exponent = fitted(*drawn(seed)).n_exponent
        hits += exponent.low <= N_EXPONENT <= exponent.high
    assert hits >= 16


@pytest.mark.slow
def test_the_stated_interval_covers_the_exponent_in_90_to_99_of_100_draws() -> None:
    exponents = [fit_isoflop(*drawn(seed), rounds=1000, seed=0).n_exponent for seed in range(100)]
    assert 90 <= sum(exponent.low <= N_EXPONENT <= exponent.high for exponent in exponents) <= 99


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), jitter=st.floats(0, 0.03))
def test_budgets_are_found_whatever_the_order_and_a_small_jitter(seed: int, jitter: float) -> None:
    generator = np.random.default_rng(seed)
    compute = np.repeat([1e18, 3e18, 1e19, 3e19], 6) * np.exp(generator.uniform(-jitter, jitter, 24))
    order = generator.permutation(24)
    groups = [sorted(order[group].tolist()) for group in budgets(compute[order])]
    assert groups == [list(range(first, first + 6)) for first in (0, 6, 12, 18)]


def test_a_jitter_within_the_budgets_does_not_move_the_exponent_away() -> None:
    n, d, _, _ = drawn(0, noise=0.0)
    d = d * np.exp(np.random.default_rng(1).uniform(-0.05, 0.05, len(d)))
    loss = TRUTH.E + TRUTH.A / n**TRUTH.alpha + TRUTH.B / d**TRUTH.beta
    fit = fitted(n, d, 6 * n * d, loss)
    assert len(fit.profiles) == 8
    assert fit.n_exponent.value == pytest.approx(N_EXPONENT, abs=0.01)


def test_fewer_than_three_budgets_are_refused() -> None:
    with pytest.raises(FitRefused, match=r"2 budgets with at least 4 model scales within a factor of 1\.15"):
        fitted(*drawn(0, budgets=2))


def test_a_profile_without_a_minimum_inside_is_left_out_with_its_side() -> None:
    n, d, c, loss = drawn(0, noise=0.0)
    half = (c > 1.01 * c.min()) | (n < 0.6 * np.median(n[c == c.min()]))
    fit = fitted(n[half], d[half], c[half], loss[half])
    assert len(fit.profiles) == 7
    assert [reason for _, reason in fit.refused] == ["no minimum inside: the loss still falls at the largest model"]


def test_without_any_minimum_inside_the_method_is_refused_with_the_budgets() -> None:
    n, d, c, loss = drawn(0, noise=0.0, budgets=3)
    model, _ = allocation(TRUTH, 6.0)
    large = n > 1.5 * np.array([model.at(budget) for budget in c])
    with pytest.raises(FitRefused, match=r"0 of 3 budgets have a minimum inside.*still falls at the smallest model"):
        fitted(n[large], d[large], c[large], loss[large])


def test_a_profile_that_is_not_convex_has_no_minimum() -> None:
    n, d, c, loss = drawn(0, noise=0.0, budgets=3)
    with pytest.raises(FitRefused, match="not convex"):
        fitted(n, d, c, 10 - loss)
