"""Many robust fits of the parametric loss at a time: damped Newton steps on the Huber loss of the log residuals.

Shapes: P problems, R runs, G groups of runs, and K = 2·G + 3 coefficients (a of each group, b of each group, e, alpha, beta), all
float64. Groups share e, alpha and beta: the runs of one vocabulary are a group.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Indices = NDArray[np.intp]

DELTA = 1e-3
"""Threshold of the Huber loss, in log loss (Hoffmann et al., arXiv 2203.15556, appendix D.2, equation 6)."""

_MAX_STEPS = 300
"""Newton steps; a well-posed problem takes about twenty."""

_CONVERGED = 1e-12
"""Relative decrease of the objective below which a problem has converged."""

_MIN_DAMPING, _MAX_DAMPING = 1e-8, 1e8
"""At the maximum no step lowers the objective any more, and a problem has converged."""

_CHUNK_RESIDUALS = 100_000
"""Residuals that a thread works on at a time, so that the few arrays of them stay in the cache."""

_THREADS = 2
"""numpy releases the interpreter's lock in its loops over whole arrays."""


@dataclass(frozen=True, slots=True)
class LogRuns:
    """The logarithms of runs; those of n and d are centred by the caller."""

    n: Array
    """(R), model scale."""
    d: Array
    """(R), tokens."""
    loss: Array
    """(R)."""
    members: Array
    """(G, R), 1 where a run belongs to a group, else 0."""

    @property
    def groups(self) -> int:
        """The number of groups, G."""
        return len(self.members)


def minimise(starts: Array, weights: Array, runs: LogRuns) -> tuple[Array, Array]:
    """The coefficients (P, K) that minimise each problem's Huber loss, and its value (P).

    Problem p is sum over r of weights[p, r] · Huber(log L(n_r, d_r) - log loss_r), with log L as a log-sum-exp of
    a - alpha·log n, b - beta·log d and e, with a and b of the run's group (arXiv 2203.15556, appendix D.2).

    Args:
        starts: (P, K).
        weights: (P, R), or (1, R) for the same weights in every problem.
        runs: what the fit is made to.
    """
    weights = np.broadcast_to(weights, (len(starts), len(runs.loss)))
    size = max(1, _CHUNK_RESIDUALS // len(runs.loss))
    chunks = [slice(first, first + size) for first in range(0, len(starts), size)]
    with ThreadPoolExecutor(_THREADS) as pool:
        optima = list(pool.map(lambda chunk: _newton(starts[chunk], weights[chunk], runs), chunks))
    return np.concatenate([theta for theta, _ in optima]), np.concatenate([value for _, value in optima])


def _newton(starts: Array, weights: Array, runs: LogRuns) -> tuple[Array, Array]:
    """Newton steps with Levenberg's damping, of each problem until it has converged."""
    theta, value, damping = starts.copy(), huber(starts, weights, runs), np.full(len(starts), 1e-2)
    active = np.arange(len(starts))
    for _ in range(_MAX_STEPS):
        if not len(active):
            break
        step = _step(theta[active], weights[active], runs, damping[active])
        candidate = theta[active] + step
        reached = huber(candidate, weights[active], runs)
        better = reached < value[active]
        small = value[active] - reached <= _CONVERGED * value[active]
        accepted = active[better]
        theta[accepted], value[accepted] = candidate[better], reached[better]
        damping[active] = np.clip(damping[active] * np.where(better, 0.2, 8.0), _MIN_DAMPING, None)
        converged = (better & small) | (damping[active] > _MAX_DAMPING)
        active = active[~converged]
    return theta, value


def _step(theta: Array, weights: Array, runs: LogRuns, damping: Array) -> Array:
    """The damped Newton step (P, K).

    The curvature is that of the runs within delta, where the Huber loss is quadratic; the damping adds that of its quadratic
    majoriser (iteratively reweighted least squares), whose step cannot overshoot.
    """
    (of_n, of_d, of_e), predicted = _shares(theta, runs)
    residual = predicted - runs.loss
    by_group = [share[:, None] * runs.members for share in (of_n, of_d)]
    common = np.stack([of_e, -of_n * runs.n, -of_d * runs.d], axis=1)
    gradient = np.concatenate([*by_group, common], axis=1)
    size = np.abs(residual)
    slope = (gradient @ (weights * np.clip(residual, -DELTA, DELTA))[:, :, None])[:, :, 0]
    within, majoriser = weights * (size <= DELTA), weights * np.minimum(1.0, DELTA / np.maximum(size, DELTA))
    damped = within + damping[:, None] * majoriser
    curvature = (gradient * damped[:, None, :]) @ gradient.transpose(0, 2, 1)
    # A coefficient that no run depends on any more (E far below every loss) must not make the system singular.
    count = theta.shape[1]
    curvature += np.eye(count) * (1e-12 * np.trace(curvature, axis1=1, axis2=2)[:, None, None] + 1e-300)
    return np.clip(-np.linalg.solve(curvature, slope[:, :, None])[:, :, 0], -2.0, 2.0)


def huber(theta: Array, weights: Array, runs: LogRuns) -> Array:
    """The objective (P) at `theta` (P, K)."""
    size = np.abs(_shares(theta, runs)[1] - runs.loss)
    inner = np.minimum(size, DELTA)
    return np.asarray((weights * (inner * (size - 0.5 * inner))).sum(axis=1))


def _shares(theta: Array, runs: LogRuns) -> tuple[tuple[Array, Array, Array], Array]:
    """The three terms' shares of the loss, each (P, R), and its logarithm (P, R)."""
    groups = runs.groups
    a, b = theta[:, :groups] @ runs.members, theta[:, groups : 2 * groups] @ runs.members
    e, alpha, beta = (theta[:, 2 * groups + i, None] for i in range(3))
    of_n, of_d = np.exp(a - alpha * runs.n), np.exp(b - beta * runs.d)
    of_e = np.exp(e)
    total = of_n + of_d + of_e
    return (of_n / total, of_d / total, of_e / total), np.log(total)
