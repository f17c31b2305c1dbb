"""The parametric fit L(N, D) = E + A / N^alpha + B / D^beta, with bootstrap intervals and without outliers.

Method: Hoffmann et al., arXiv 2203.15556, appendix D.2, as replicated in arXiv 2404.10102.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from components.errors import FitRefused
from components.scaling.fitting.intervals import Estimate, estimate
from components.scaling.fitting.robust import Array, minimise
from components.scaling.laws.law import LossLaw

NAMES = ("E", "A", "B", "alpha", "beta")

MIN_RUNS = 8
"""Enough for five coefficients and an estimate of how runs scatter."""

_EXPONENTS = (0.1, 0.25, 0.5, 1.0)
"""Values of alpha and beta that the fit starts from; the linear coefficients follow by least squares."""

OUTLIER_SCATTERS, OUTLIER_SHARE = 10.0, 0.02
"""The run of the smallest D/N is an outlier if its loss exceeds the fit by more than so many robust standard deviations (1.4826
times the median absolute log residual), and by more than this share: it ended before the law begins to hold."""

MAX_OUTLIERS = 0.05
"""Share of the runs that may be excluded as outliers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parametric:
    """Coefficients with their intervals."""

    coefficients: Mapping[str, Estimate]
    """Estimates of E, A, B, alpha and beta."""
    n_exponent: Estimate
    """beta / (alpha + beta): how the optimal N grows with C (arXiv 2203.15556, equation 4)."""
    d_exponent: Estimate
    loss: LossLaw
    """The fit as a law, with the bootstrap draws."""
    kept: tuple[int, ...]
    """Indices of the runs fitted."""
    outliers: tuple[int, ...]
    """Indices of the runs excluded."""
    residuals: Array
    """Log of loss over predicted loss, of the runs fitted."""


def fit_parametric(n: Array, d: Array, loss: Array, *, rounds: int, seed: int, leave_out: int | None) -> Parametric:
    """Fit the law to runs.

    Args:
        n, d, loss: (R), positive.
        rounds: of the bootstrap, which draws runs with replacement.
        seed: of the bootstrap.
        leave_out: how many runs of the smallest D/N to exclude; None: the outliers among them.

    Raises:
        FitRefused: too few runs or sizes, or a loss that does not fall with N or with D.
    """
    _refuse_poor(n, d, loss)
    order = np.argsort(d / n, kind="stable")
    excluded = _count_outliers(n[order], d[order], loss[order]) if leave_out is None else leave_out
    kept = np.sort(order[excluded:])
    n, d, loss = n[kept], d[kept], loss[kept]
    _refuse_poor(n, d, loss)
    coefficients = best(n, d, loss)
    _refuse_flat(coefficients, n, d)
    generator = np.random.default_rng(seed)
    drawn = _bootstrap(coefficients, n, d, loss, rounds, generator)
    residuals = np.log(loss) - np.log(_losses(coefficients, n, d))
    share, shares = coefficients[4] / (coefficients[3] + coefficients[4]), drawn[:, 4] / (drawn[:, 3] + drawn[:, 4])
    return Parametric(
        coefficients={name: estimate(coefficients[i], drawn[:, i]) for i, name in enumerate(NAMES)},
        n_exponent=estimate(share, shares),
        d_exponent=estimate(1 - share, 1 - shares),
        loss=_law(coefficients, drawn, residuals, generator),
        kept=tuple(kept.tolist()),
        outliers=tuple(sorted(order[:excluded].tolist())),
        residuals=residuals,
    )


def _refuse_poor(n: Array, d: Array, loss: Array) -> None:
    if len(loss) < MIN_RUNS:
        raise FitRefused(f"{len(loss)} runs; five coefficients need at least {MIN_RUNS}")
    for name, values in (("model scales", n), ("numbers of tokens", d)):
        if len(np.unique(values)) < 3:
            raise FitRefused(f"{len(np.unique(values))} different {name}; a power law and its limit need at least 3")


def _count_outliers(n: Array, d: Array, loss: Array) -> int:
    """How many of the first runs, in the order of D/N, are outliers: each against the fit of itself and all that follow."""
    max_count = int(MAX_OUTLIERS * len(loss))
    theta = best(n, d, loss)
    for first in range(max_count + 1):
        theta = best(n[first:], d[first:], loss[first:], near=theta)
        residual = np.log(loss[first:]) - np.log(_losses(theta, n[first:], d[first:]))
        scatter = 1.4826 * float(np.median(np.abs(residual)))
        if residual[0] <= max(OUTLIER_SCATTERS * scatter, OUTLIER_SHARE):
            return first
    return max_count


def best(n: Array, d: Array, loss: Array, near: Array | None = None) -> Array:
    """(E, A, B, alpha, beta) with the least Huber loss that is reached from many starts, or from `near`."""
    x, y, z, centre = _centred(n, d, loss)
    starts = _starts(x, y, z) if near is None else _to_theta(near[None], centre)
    theta, value = minimise(starts, np.ones((1, len(z))), x, y, z)
    coefficients: Array = _from_theta(theta[[value.argmin()]], centre)[0]
    return coefficients


def _bootstrap(coefficients: Array, n: Array, d: Array, loss: Array, rounds: int, generator: np.random.Generator) -> Array:
    """The coefficients fitted to runs drawn with replacement, (rounds, 5)."""
    weights = generator.multinomial(len(loss), np.full(len(loss), 1 / len(loss)), size=rounds).astype(np.float64)
    x, y, z, centre = _centred(n, d, loss)
    starts = np.repeat(_to_theta(coefficients[None], centre), rounds, axis=0)
    return _from_theta(minimise(starts, weights, x, y, z)[0], centre)


def _law(coefficients: Array, drawn: Array, residuals: Array, generator: np.random.Generator) -> LossLaw:
    """The law with its draws, each with the residual of a run drawn at random."""
    count = len(residuals)
    # Five coefficients were fitted to these residuals: those of a new run are larger.
    scattered = generator.choice(residuals * np.sqrt(count / (count - 5)), size=len(drawn))
    sound = np.all(np.isfinite(drawn) & (drawn > 0), axis=1)
    rows = np.column_stack([drawn, scattered])[sound]
    return LossLaw(
        **dict(zip(NAMES, map(float, coefficients), strict=True)),
        draws=tuple(tuple(float(f"{value:.8g}") for value in row) for row in rows),
    )


def _refuse_flat(coefficients: Array, n: Array, d: Array) -> None:
    """Refuse a law whose terms in N or D do not matter for any run: their coefficients would be arbitrary."""
    e, a, b, alpha, beta = coefficients
    for name, term, exponent in (("model scale", a / n**alpha, alpha), ("tokens", b / d**beta, beta)):
        if not (exponent > 0.01 and np.ptp(term) > 1e-4 * e):
            raise FitRefused(f"the loss does not fall with the {name} (exponent {exponent:.3g}); a law needs runs where it does")


def _starts(x: Array, y: Array, z: Array) -> Array:
    """For each pair of exponents the non-negative E, A, B of least squares in relative loss."""
    starts = []
    for alpha in _EXPONENTS:
        for beta in _EXPONENTS:
            terms = np.stack([np.exp(-alpha * x), np.exp(-beta * y), np.ones_like(x)], axis=1)
            linear, _ = nnls(terms * np.exp(-z)[:, None], np.ones_like(z))
            starts.append([*np.log(np.maximum(linear, 1e-3 * np.exp(z.min()))), alpha, beta])
    return np.array(starts)


def _centred(n: Array, d: Array, loss: Array) -> tuple[Array, Array, Array, tuple[float, float]]:
    x, y = np.log(n), np.log(d)
    centre = (float(x.mean()), float(y.mean()))
    return x - centre[0], y - centre[1], np.log(loss), centre


def _to_theta(coefficients: Array, centre: tuple[float, float]) -> Array:
    e, a, b, alpha, beta = coefficients.T
    return np.stack([np.log(a) - alpha * centre[0], np.log(b) - beta * centre[1], np.log(e), alpha, beta], axis=1)


def _from_theta(theta: Array, centre: tuple[float, float]) -> Array:
    a, b, e, alpha, beta = theta.T
    return np.stack([np.exp(e), np.exp(a + alpha * centre[0]), np.exp(b + beta * centre[1]), alpha, beta], axis=1)


def _losses(coefficients: Array, n: Array, d: Array) -> Array:
    e, a, b, alpha, beta = coefficients
    return np.asarray(e + a / n**alpha + b / d**beta)
