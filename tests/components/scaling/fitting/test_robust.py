"""The robust fit: the objective as its source defines it, and problems that do not touch one another."""

import numpy as np
import pytest

from components.scaling.fitting import robust
from components.scaling.fitting.robust import DELTA, Array, LogRuns, huber, minimise
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


def runs(log_n: Array, log_d: Array, log_loss: Array) -> LogRuns:
    """All of one group."""
    return LogRuns(log_n, log_d, log_loss, np.ones((1, len(log_n))))


def test_the_objective_is_quadratic_within_delta_and_linear_beyond() -> None:
    theta, log_n, log_d = np.zeros((1, 5)), np.zeros(3), np.zeros(3)
    size = np.array([0.0, DELTA / 2, 10 * DELTA])
    expected = (DELTA / 2) ** 2 / 2 + DELTA * (10 * DELTA - DELTA / 2)
    assert huber(theta, np.ones((1, 3)), runs(log_n, log_d, np.log(3) - size))[0] == pytest.approx(expected)
    assert huber(theta, np.array([[1.0, 2.0, 0.0]]), runs(log_n, log_d, np.log(3) - size))[0] == pytest.approx((DELTA / 2) ** 2)


def test_data_without_noise_give_the_coefficients_back_from_a_start_nearby() -> None:
    log_n, log_d, log_loss = logs(0, noise=0.0)
    truth = centred(TRUE, log_n, log_d)
    theta, value = minimise(truth * 1.05, np.ones((1, len(log_n))), runs(log_n - log_n.mean(), log_d - log_d.mean(), log_loss))
    assert theta == pytest.approx(truth, rel=1e-4)
    assert value[0] < 1e-12


def test_problems_solved_together_are_those_solved_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    log_n, log_d, log_loss = logs(1)
    starts = np.repeat(centred(TRUE, log_n, log_d), 5, axis=0)
    weights = np.random.default_rng(0).integers(0, 3, (5, len(log_n))).astype(float)
    x, y = log_n - log_n.mean(), log_d - log_d.mean()
    together, _ = minimise(starts, weights, runs(x, y, log_loss))
    monkeypatch.setattr(robust, "_CHUNK_RESIDUALS", 1)
    alone, _ = minimise(starts, weights, runs(x, y, log_loss))
    assert np.allclose(together, alone, rtol=1e-6)


def test_a_run_without_weight_is_as_good_as_none() -> None:
    log_n, log_d, log_loss = logs(2)
    x, y, start = log_n - log_n.mean(), log_d - log_d.mean(), centred(TRUE, log_n, log_d)
    weights = np.ones((1, len(x)))
    weights[0, ::4] = 0
    kept = weights[0] > 0
    weighted, _ = minimise(start, weights, runs(x, y, np.where(kept, log_loss, 9.0)))
    without, _ = minimise(start, np.ones((1, kept.sum())), runs(x[kept], y[kept], log_loss[kept]))
    assert np.allclose(weighted, without, rtol=1e-6)


def test_groups_share_the_exponents_and_the_limit_and_have_their_own_coefficients() -> None:
    log_n, log_d, log_loss = logs(3, noise=0.0)
    second = np.arange(len(log_n)) % 2 == 1
    truth = np.exp(log_loss) - TRUTH.E
    loss = np.where(second, 1.5 * truth + TRUTH.E, truth + TRUTH.E)
    x, y = log_n - log_n.mean(), log_d - log_d.mean()
    a, b, e, alpha, beta = centred(TRUE, log_n, log_d)[0]
    start = np.array([[a, a, b, b, e, alpha, beta]]) * 1.03
    theta, value = minimise(start, np.ones((1, len(x))), LogRuns(x, y, np.log(loss), np.stack([~second, second]).astype(float)))
    more = np.log(1.5)
    assert theta[0] == pytest.approx([a, a + more, b, b + more, e, alpha, beta], rel=1e-3)
    assert value[0] < 1e-12
