"""Many robust fits of the parametric loss at once: damped Newton steps on the Huber loss of the log residuals.

Shapes: P problems, R runs, 5 coefficients (a, b, e, alpha, beta), all float64. `log_n` and `log_d` are centred by the caller.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Indices = NDArray[np.intp]

DELTA = 1e-3
"""Of the Huber loss, in log loss (Hoffmann et al., arXiv 2203.15556, appendix D.2, equation 6)."""

_STEPS = 300
"""Newton steps at most; a well-posed problem takes about twenty."""

_STILL = 1e-12
"""Relative decrease of the objective below which a problem has converged."""

_DAMPING = (1e-8, 1e8)
"""Least damping, and the one at which no step helps any more."""

_AT_ONCE = 100_000
"""Residuals that a thread holds at once: a few arrays of them stay in the cache."""

_THREADS = 2
"""numpy lets go of the interpreter's lock in its loops over whole arrays."""


def minimise(starts: Array, weights: Array, log_n: Array, log_d: Array, log_loss: Array) -> tuple[Array, Array]:
    """The coefficients (P, 5) that minimise each problem's Huber loss, and its value (P).

    Problem p is sum over r of weights[p, r] · Huber(log L(n_r, d_r) - log_loss_r), with log L as a log-sum-exp of
    a - alpha·log n, b - beta·log d and e (arXiv 2203.15556, appendix D.2).

    Args:
        starts: (P, 5).
        weights: (P, R), or (1, R) for the same weights in every problem.
        log_n, log_d, log_loss: (R).
    """
    weights = np.broadcast_to(weights, (len(starts), len(log_n)))
    size = max(1, _AT_ONCE // len(log_n))
    parts = [slice(first, first + size) for first in range(0, len(starts), size)]
    with ThreadPoolExecutor(_THREADS) as pool:
        done = list(pool.map(lambda part: _newton(starts[part], weights[part], log_n, log_d, log_loss), parts))
    return np.concatenate([theta for theta, _ in done]), np.concatenate([value for _, value in done])


def _newton(starts: Array, weights: Array, log_n: Array, log_d: Array, log_loss: Array) -> tuple[Array, Array]:
    """Newton steps with Levenberg's damping, problem by problem, until none of them moves."""
    theta, value, damping = starts.copy(), huber(starts, weights, log_n, log_d, log_loss), np.full(len(starts), 1e-2)
    moving = np.arange(len(starts))
    for _ in range(_STEPS):
        if not len(moving):
            break
        step = _step(theta[moving], weights[moving], log_n, log_d, log_loss, damping[moving])
        tried = theta[moving] + step
        reached = huber(tried, weights[moving], log_n, log_d, log_loss)
        better = reached < value[moving]
        small = value[moving] - reached <= _STILL * value[moving]
        accepted = moving[better]
        theta[accepted], value[accepted] = tried[better], reached[better]
        damping[moving] = np.clip(damping[moving] * np.where(better, 0.2, 8.0), _DAMPING[0], None)
        settled = (better & small) | (damping[moving] > _DAMPING[1])
        moving = moving[~settled]
    return theta, value


def _step(theta: Array, weights: Array, log_n: Array, log_d: Array, log_loss: Array, damping: Array) -> Array:
    """The damped Newton step (P, 5).

    The curvature is that of the runs within delta, where the Huber loss is quadratic; the damping adds that of its quadratic
    majoriser (iteratively reweighted least squares), whose step cannot overshoot.
    """
    share, predicted = _shares(theta, log_n, log_d)
    residual = predicted - log_loss
    gradient = np.stack([share[0], share[1], share[2], -share[0] * log_n, -share[1] * log_d], axis=1)
    size = np.abs(residual)
    pull = (gradient @ (weights * np.clip(residual, -DELTA, DELTA))[:, :, None])[:, :, 0]
    within, majoriser = weights * (size <= DELTA), weights * np.minimum(1.0, DELTA / np.maximum(size, DELTA))
    mixed = within + damping[:, None] * majoriser
    curvature = (gradient * mixed[:, None, :]) @ gradient.transpose(0, 2, 1)
    # A coefficient that no run sees any more (E far below every loss) must not make the system singular.
    curvature += np.eye(5) * (1e-12 * np.trace(curvature, axis1=1, axis2=2)[:, None, None] + 1e-300)
    return np.clip(-np.linalg.solve(curvature, pull[:, :, None])[:, :, 0], -2.0, 2.0)


def huber(theta: Array, weights: Array, log_n: Array, log_d: Array, log_loss: Array) -> Array:
    """The objective (P) at `theta` (P, 5)."""
    size = np.abs(_shares(theta, log_n, log_d)[1] - log_loss)
    inner = np.minimum(size, DELTA)
    return np.asarray((weights * (inner * (size - 0.5 * inner))).sum(axis=1))


def _shares(theta: Array, log_n: Array, log_d: Array) -> tuple[tuple[Array, Array, Array], Array]:
    """The three terms' shares of the loss, each (P, R), and its logarithm (P, R)."""
    a, b, e, alpha, beta = (theta[:, i, None] for i in range(5))
    of_n, of_d = np.exp(a - alpha * log_n), np.exp(b - beta * log_d)
    of_e = np.exp(e)
    total = of_n + of_d + of_e
    return (of_n / total, of_d / total, of_e / total), np.log(total)
