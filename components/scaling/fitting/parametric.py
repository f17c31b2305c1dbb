"""The parametric fit L(N, D) = E + A / N^alpha + B / D^beta, with bootstrap intervals and without outliers.

Method: Hoffmann et al., arXiv 2203.15556, appendix D.2, as replicated in arXiv 2404.10102. Runs in several groups, such as one
for each vocabulary, are fitted jointly: A and B of each group, and E, alpha and beta of all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from components.errors import FitRefused
from components.scaling.fitting.intervals import Estimate, estimate
from components.scaling.fitting.robust import Array, LogRuns, minimise
from components.scaling.laws.law import LossLaw

NAMES = ("E", "A", "B", "alpha", "beta")

MIN_SPARE_RUNS = 3
"""Runs beyond the number of coefficients, for an estimate of how runs scatter."""

_MIN_DIFFERENT = 3
"""Different model scales, and numbers of tokens: one more than a power law without a limit needs."""

_MIN_DIFFERENT_IN_GROUP = 2
"""The same within a group, which shares the exponents and the limit with the others."""

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
    """Estimates of E, A, B, alpha and beta; of several groups "A GROUP" and "B GROUP", such as "A 512"."""
    n_exponent: Estimate
    """beta / (alpha + beta): how the optimal N grows with C (arXiv 2203.15556, equation 4)."""
    d_exponent: Estimate
    losses: Mapping[float, LossLaw]
    """The law of each group, with the bootstrap draws: draw i of every group is of the same round."""
    kept: tuple[int, ...]
    """Indices of the runs fitted."""
    outliers: tuple[int, ...]
    """Indices of the runs excluded."""
    residuals: Array
    """Log of loss over predicted loss, of the runs fitted."""

    @property
    def loss(self) -> LossLaw:
        """The law of the only group."""
        (law,) = self.losses.values()
        return law


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs to be fitted: arrays (R), and membership in groups (G, R)."""

    n: Array
    d: Array
    loss: Array
    members: Array

    @staticmethod
    def grouped(n: Array, d: Array, loss: Array, group: Array | None) -> "_Runs":
        """The runs with the value of `group` (R) that says which belong together; None: all do."""
        labels = np.zeros(len(n)) if group is None else group
        return _Runs(n, d, loss, (np.unique(labels)[:, None] == labels).astype(np.float64))

    def __getitem__(self, index: Any) -> "_Runs":
        return _Runs(self.n[index], self.d[index], self.loss[index], self.members[:, index])

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def count(self) -> int:
        """The number of coefficients."""
        return 3 + 2 * len(self.members)

    def centred(self) -> tuple[LogRuns, tuple[float, float]]:
        """Their logarithms, and the means that were subtracted from log n and log d."""
        x, y = np.log(self.n), np.log(self.d)
        centre = (float(x.mean()), float(y.mean()))
        return LogRuns(x - centre[0], y - centre[1], np.log(self.loss), self.members), centre

    def losses(self, coefficients: Array) -> Array:
        """What the law says for each run (R)."""
        groups = len(self.members)
        (e, alpha, beta), a, b = coefficients[[0, -2, -1]], coefficients[1 : 1 + groups], coefficients[1 + groups : -2]
        return np.asarray(e + a @ self.members / self.n**alpha + b @ self.members / self.d**beta)


def fit_parametric(
    n: Array, d: Array, loss: Array, *, rounds: int, seed: int, leave_out: int | None, group: Array | None = None
) -> Parametric:
    """Fit the law to runs.

    Args:
        n, d, loss: (R), positive.
        rounds: of the bootstrap, which draws runs with replacement, within each group.
        seed: of the bootstrap.
        leave_out: how many runs of the smallest D/N to exclude; None: the outliers among them.
        group: (R), a number for each run, such as its vocabulary; None: all are one group.

    Raises:
        FitRefused: too few runs or sizes, or a loss that does not fall with N or with D.
    """
    runs, labels = _Runs.grouped(n, d, loss, group), np.unique(np.zeros(1) if group is None else group)
    _refuse_poor(runs)
    order = np.argsort(d / n, kind="stable")
    excluded = _count_outliers(runs[order]) if leave_out is None else leave_out
    kept = np.sort(order[excluded:])
    runs = runs[kept]
    _refuse_poor(runs)
    coefficients = _best(runs)
    _refuse_flat(coefficients, runs)
    generator = np.random.default_rng(seed)
    drawn = _bootstrap(coefficients, runs, rounds, generator)
    residuals = np.log(runs.loss) - np.log(runs.losses(coefficients))
    share, shares = coefficients[-1] / (coefficients[-2] + coefficients[-1]), drawn[:, -1] / (drawn[:, -2] + drawn[:, -1])
    return Parametric(
        coefficients={name: estimate(coefficients[i], drawn[:, i]) for i, name in enumerate(_names(labels))},
        n_exponent=estimate(share, shares),
        d_exponent=estimate(1 - share, 1 - shares),
        losses=_laws(labels, coefficients, drawn, residuals, generator),
        kept=tuple(kept.tolist()),
        outliers=tuple(sorted(order[:excluded].tolist())),
        residuals=residuals,
    )


def best(n: Array, d: Array, loss: Array) -> Array:
    """(E, A, B, alpha, beta) with the least Huber loss that is reached from many starts."""
    return _best(_Runs.grouped(n, d, loss, None))


def _names(labels: Array) -> list[str]:
    if len(labels) == 1:
        return list(NAMES)
    return ["E", *(f"A {label:g}" for label in labels), *(f"B {label:g}" for label in labels), "alpha", "beta"]


def _refuse_poor(runs: _Runs) -> None:
    needed = runs.count + MIN_SPARE_RUNS
    if len(runs) < needed:
        raise FitRefused(f"{len(runs)} runs; {runs.count} coefficients need at least {needed}")
    for name, values in (("model scales", runs.n), ("numbers of tokens", runs.d)):
        if len(np.unique(values)) < _MIN_DIFFERENT:
            raise FitRefused(
                f"{len(np.unique(values))} different {name}; a power law and its limit need at least {_MIN_DIFFERENT}"
            )
        different = min(len(np.unique(values[member > 0])) for member in runs.members)
        if different < _MIN_DIFFERENT_IN_GROUP:
            raise FitRefused(f"{different} different {name} in a group of runs; its power law needs {_MIN_DIFFERENT_IN_GROUP}")


def _count_outliers(runs: _Runs) -> int:
    """How many of the first runs, in the order of D/N, are outliers: each against the fit of itself and all that follow."""
    max_count = int(MAX_OUTLIERS * len(runs))
    theta = _best(runs)
    for first in range(max_count + 1):
        theta = _best(runs[first:], near=theta)
        residual = np.log(runs.loss[first:]) - np.log(runs[first:].losses(theta))
        scatter = 1.4826 * float(np.median(np.abs(residual)))
        if residual[0] <= max(OUTLIER_SCATTERS * scatter, OUTLIER_SHARE):
            return first
    return max_count


def _best(runs: _Runs, near: Array | None = None) -> Array:
    """(E, A of each group, B of each group, alpha, beta) with the least Huber loss reached from many starts, or from `near`."""
    logs, centre = runs.centred()
    starts = _starts(logs) if near is None else _to_theta(near[None], centre)
    theta, value = minimise(starts, np.ones((1, len(runs))), logs)
    coefficients: Array = _from_theta(theta[[value.argmin()]], centre)[0]
    return coefficients


def _bootstrap(coefficients: Array, runs: _Runs, rounds: int, generator: np.random.Generator) -> Array:
    """The coefficients fitted to runs drawn with replacement within each group, (rounds, K)."""
    weights = np.zeros((rounds, len(runs)))
    for member in runs.members:
        (index,) = np.nonzero(member)
        weights[:, index] = generator.multinomial(len(index), np.full(len(index), 1 / len(index)), size=rounds)
    logs, centre = runs.centred()
    starts = np.repeat(_to_theta(coefficients[None], centre), rounds, axis=0)
    return _from_theta(minimise(starts, weights, logs)[0], centre)


def _laws(
    labels: Array, coefficients: Array, drawn: Array, residuals: Array, generator: np.random.Generator
) -> dict[float, LossLaw]:
    """The law of each group with its draws, each with the residual of a run drawn at random."""
    count, fitted = len(residuals), len(coefficients)
    # So many coefficients were fitted to these residuals: those of a new run are larger.
    scattered = generator.choice(residuals * np.sqrt(count / (count - fitted)), size=len(drawn))
    sound = np.all(np.isfinite(drawn) & (drawn > 0), axis=1)
    rows = np.column_stack([drawn, scattered])[sound]
    laws = {}
    for group, label in enumerate(labels):
        own = [0, 1 + group, 1 + len(labels) + group, fitted - 2, fitted - 1]
        laws[float(label)] = LossLaw(
            **dict(zip(NAMES, map(float, coefficients[own]), strict=True)),
            draws=tuple(tuple(float(f"{value:.8g}") for value in row) for row in rows[:, [*own, fitted]]),
        )
    return laws


def _refuse_flat(coefficients: Array, runs: _Runs) -> None:
    """Refuse a law whose terms in N or D do not matter for any run: their coefficients would be arbitrary."""
    groups = len(runs.members)
    a, b = coefficients[1 : 1 + groups] @ runs.members, coefficients[1 + groups : -2] @ runs.members
    e, alpha, beta = coefficients[[0, -2, -1]]
    for name, term, exponent in (("model scale", a / runs.n**alpha, alpha), ("tokens", b / runs.d**beta, beta)):
        if not (exponent > 0.01 and np.ptp(term) > 1e-4 * e):
            raise FitRefused(f"the loss does not fall with the {name} (exponent {exponent:.3g}); a law needs runs where it does")


def _starts(runs: LogRuns) -> Array:
    """For each pair of exponents the non-negative E, A and B of least squares in relative loss."""
    starts = []
    for alpha in _EXPONENTS:
        for beta in _EXPONENTS:
            terms = [*(np.exp(-alpha * runs.n) * runs.members), *(np.exp(-beta * runs.d) * runs.members), np.ones_like(runs.n)]
            linear, _ = nnls(np.stack(terms, axis=1) * np.exp(-runs.loss)[:, None], np.ones_like(runs.loss))
            starts.append([*np.log(np.maximum(linear, 1e-3 * np.exp(runs.loss.min()))), alpha, beta])
    return np.array(starts)


def _to_theta(coefficients: Array, centre: tuple[float, float]) -> Array:
    """(P, K) coefficients as the minimiser has them: a, b, e, alpha, beta over centred logarithms."""
    e, alpha, beta = coefficients[:, :1], coefficients[:, -2:-1], coefficients[:, -1:]
    a, b = np.split(np.log(coefficients[:, 1:-2]), 2, axis=1)
    return np.concatenate([a - alpha * centre[0], b - beta * centre[1], np.log(e), alpha, beta], axis=1)


def _from_theta(theta: Array, centre: tuple[float, float]) -> Array:
    """The reverse of `_to_theta`."""
    e, alpha, beta = theta[:, -3:-2], theta[:, -2:-1], theta[:, -1:]
    a, b = np.split(theta[:, :-3], 2, axis=1)
    return np.concatenate([np.exp(e), np.exp(a + alpha * centre[0]), np.exp(b + beta * centre[1]), alpha, beta], axis=1)
