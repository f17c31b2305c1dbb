"""Laws of batch and learning rate from grids with a known optimum."""

import numpy as np
import pytest

from components.errors import FitRefused
from components.scaling.fitting.hyper_parameters import NEAR, fit_hyper_parameters
from components.scaling.fitting.robust import Array
from components.scaling.laws.published import LAWS

DEEPSEEK = LAWS["deepseek"]


def grid(seed: int, budgets: int = 5, noise: float = 0.0003) -> tuple[Array, Array, Array, Array]:
    """C, batch, learning rate and loss: a bowl around DeepSeek's laws on a grid of factors of the square root of two."""
    assert DEEPSEEK.batch_tokens is not None
    assert DEEPSEEK.learning_rate is not None
    generator, rows = np.random.default_rng(seed), []
    for compute in np.geomspace(1e17, 1e20, budgets):
        best = (DEEPSEEK.batch_tokens.at(compute), DEEPSEEK.learning_rate.at(compute))
        offset = generator.uniform(-0.25, 0.25, 2)
        for i in np.arange(-4, 5) / 2 + offset[0]:
            for j in np.arange(-4, 5) / 2 + offset[1]:
                loss = 2.5 * (1 + 0.004 * (i**2 + j**2)) * np.exp(noise * generator.standard_normal())
                rows.append((compute, best[0] * 2**i, best[1] * 2**j, loss))
    c, batch, rate, loss = np.array(rows).T
    return c, batch, rate, loss


def test_the_laws_of_a_known_bowl_are_recovered_within_their_intervals() -> None:
    fit = fit_hyper_parameters(*grid(0), rounds=500, seed=0)
    assert fit.batch_exponent.low < 0.3271 < fit.batch_exponent.high
    assert fit.learning_rate_exponent.low < -0.1250 < fit.learning_rate_exponent.high
    assert fit.batch_exponent.high - fit.batch_exponent.low < 0.1
    assert fit.edges == ()


def test_the_surface_of_each_budget_is_ready_for_contours() -> None:
    fit = fit_hyper_parameters(*grid(0), rounds=100, seed=0)
    assert [surface.compute for surface in fit.surfaces] == pytest.approx(np.geomspace(1e17, 1e20, 5))
    for surface in fit.surfaces:
        assert len(surface.batch) == len(surface.learning_rate) == len(surface.excess) == 81
        assert surface.excess.min() == 0.0
        assert 1 < (surface.excess <= NEAR).sum() < 20


def test_an_optimum_at_the_edge_of_the_grid_is_said() -> None:
    c, batch, rate, loss = grid(0)
    inside = (c > 1.1e17) | (batch < np.median(batch[c < 1.1e17]) * 0.6)
    fit = fit_hyper_parameters(c[inside], batch[inside], rate[inside], loss[inside], rounds=100, seed=0)
    assert [reason for _, reason in fit.edges] == ["the least loss lies at the largest batch of the grid"]


def test_fewer_than_three_grids_are_refused_and_a_small_one_is_left_out() -> None:
    with pytest.raises(FitRefused, match="2 budgets with at least 4 runs; power laws need 3"):
        fit_hyper_parameters(*grid(0, budgets=2), rounds=100, seed=0)
    c, batch, rate, loss = grid(0)
    few = (c > 1.1e17) | (np.arange(len(c)) < 3)
    fit = fit_hyper_parameters(c[few], batch[few], rate[few], loss[few], rounds=100, seed=0)
    assert [reason for _, reason in fit.refused] == ["3 runs are no grid; it takes 4"]
