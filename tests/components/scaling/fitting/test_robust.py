"""The robust fit: the objective as its source defines it, and problems that do not touch one another."""

import numpy as np
import pytest

from components.scaling.fitting import robust
from components.scaling.fitting.robust import DELTA, Array, huber, minimise
from tests.components.scaling.fitting.conftest import TRUTH, drawn

TRUE = np.array([np.log(TRUTH.A), np.log(TRUTH.B), np.log(TRUTH.E), TRUTH.alpha, TRUTH.beta])
"""a, b, e, alpha and beta of the truth, uncentred."""


def logs(seed: int, noise: float = 0.005) -> tuple[Array, Array, Array]:
    n, d, _, loss = drawn(seed, noise=noise)
    return np.log(n), np.log(d), np.log(loss)


def centred(theta: Array, log_n: Array, log_d: Array) -> Array:
    """The same law over centred logarithms."""
    a, b, e, alpha, beta = theta
    return np.array([[a - alpha * log_n.mean(), b - beta * log_d.mean(), e, alpha, beta]])


def test_the_objective_is_quadratic_within_delta_and_linear_beyond() -> None:
    theta, log_n, log_d = np.zeros((1, 5)), np.zeros(3), np.zeros(3)
    size = np.array([0.0, DELTA / 2, 10 * DELTA])
    expected = (DELTA / 2) ** 2 / 2 + DELTA * (10 * DELTA - DELTA / 2)
    assert huber(theta, np.ones((1, 3)), log_n, log_d, np.log(3) - size)[0] == pytest.approx(expected)
    assert huber(theta, np.array([[1.0, 2.0, 0.0]]), log_n, log_d, np.log(3) - size)[0] == pytest.approx((DELTA / 2) ** 2)


def test_data_without_noise_give_the_coefficients_back_from_a_start_nearby() -> None:
    log_n, log_d, log_loss = logs(0, noise=0.0)
    truth = centred(TRUE, log_n, log_d)
    theta, value = minimise(truth * 1.05, np.ones((1, len(log_n))), log_n - log_n.mean(), log_d - log_d.mean(), log_loss)
    assert theta == pytest.approx(truth, rel=1e-4)
    assert value[0] < 1e-12


def test_problems_solved_together_are_those_solved_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    log_n, log_d, log_loss = logs(1)
    starts = np.repeat(centred(TRUE, log_n, log_d), 5, axis=0)
    weights = np.random.default_rng(0).integers(0, 3, (5, len(log_n))).astype(float)
    x, y = log_n - log_n.mean(), log_d - log_d.mean()
    together, _ = minimise(starts, weights, x, y, log_loss)
    monkeypatch.setattr(robust, "_CHUNK_RESIDUALS", 1)
    alone, _ = minimise(starts, weights, x, y, log_loss)
    assert np.allclose(together, alone, rtol=1e-6)


def test_a_run_without_weight_is_as_good_as_none() -> None:
    log_n, log_d, log_loss = logs(2)
    x, y, start = log_n - log_n.mean(), log_d - log_d.mean(), centred(TRUE, log_n, log_d)
    weights = np.ones((1, len(x)))
    weights[0, ::4] = 0
    kept = weights[0] > 0
    weighted, _ = minimise(start, weights, x, y, np.where(kept, log_loss, 9.0))
    without, _ = minimise(start, np.ones((1, kept.sum())), x[kept], y[kept], log_loss[kept])
    assert np.allclose(weighted, without, rtol=1e-6)
