"""IsoFLOP profiles: a parabola of log loss over log N at each budget, the optimum of each, and power laws through the optima.

Method: arXiv 2203.15556, section 3.2 (approach 2), and arXiv 2401.02954, section 3.2.
"""

from dataclasses import dataclass

import numpy as np

from components.errors import FitRefused
from components.scaling.fitting.intervals import Estimate, estimate
from components.scaling.fitting.robust import Array, Indices

SAME_BUDGET = 1.15
"""Largest over smallest C of one profile; published tables round, jitter or read off figures what was one budget."""

LEAST_SIZES = 4
"""Different N in a profile: one more than a parabola needs."""

LEAST_BUDGETS = 3

WINDOW = 8.0
"""Runs within this factor of the optimal N are fitted. The true profile is lopsided far out; a window around the optimum cuts
it the same way at every budget, which leaves the exponents without bias."""

_HELD = 1.01
"""Largest over smallest C up to which a budget counts as held; beyond, a term linear in log C takes up the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IsoFlopProfile:
    """The runs of one budget and the parabola through those near its optimum."""

    compute: float
    """The budget: the median C of its runs."""
    runs: Indices
    """Indices of its runs."""
    fitted: Indices
    """Indices of those within the window."""
    curve: tuple[float, float, float]
    """c0, c1, c2 of log loss = c0 + c1·u + c2·u², with u = log N - centre."""
    centre: float
    n_optimum: Estimate
    d_optimum: Estimate
    loss: float
    """At the optimum, by the parabola."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IsoFlop:
    """Power laws N = n_coefficient · C^n_exponent and D = d_coefficient · C^d_exponent through the optima."""

    n_exponent: Estimate
    n_coefficient: Estimate
    d_exponent: Estimate
    d_coefficient: Estimate
    profiles: tuple[IsoFlopProfile, ...]
    refused: tuple[tuple[float, str], ...]
    """Budgets without an optimum, with the reason."""


@dataclass(frozen=True, slots=True)
class _Parabola:
    """A profile's least squares, kept for the bootstrap."""

    compute: float
    runs: Indices
    fitted: Indices
    centre: float
    design: Array
    inverse: Array
    coefficients: Array
    log_d: tuple[float, float]
    """Intercept and slope of log D over log N - centre in the window."""

    @property
    def residuals(self) -> Array:
        """Log residuals by least squares, each brought to the scatter of a run: what a fit through few runs hides is put back."""
        leverage = np.clip(np.einsum("ij,ji->i", self.design, self.inverse), 0.0, 1 - 1e-9)
        left = self._log_loss - self.design @ self.coefficients
        freedom = len(self.design) - self.design.shape[1]
        return np.asarray(left / np.sqrt(1 - leverage)) if freedom > 0 else np.zeros(0)

    _log_loss: Array


def budgets(compute: Array) -> list[Indices]:
    """Indices of the runs of each budget, the least first: the fullest window of `SAME_BUDGET` in log C, then the next."""
    left: Indices = np.argsort(compute, kind="stable")
    found: list[Indices] = []
    log_c = np.log(compute)
    while len(left):
        ends = np.searchsorted(log_c[left], log_c[left] + np.log(SAME_BUDGET), side="right")
        starts = np.arange(len(left))
        spread = log_c[left[ends - 1]] - log_c[left]
        start = int(np.lexsort((spread, -(ends - starts)))[0])
        found.append(left[start : ends[start]])
        left = np.delete(left, np.arange(start, ends[start]))
    return sorted(found, key=lambda group: float(np.median(log_c[group])))


def fit_isoflop(n: Array, d: Array, c: Array, loss: Array, *, rounds: int, seed: int) -> IsoFlop:
    """Fit profiles and power laws; arrays are (R), positive.

    The bootstrap adds to each parabola residuals drawn from those of all profiles. The power laws weigh each optimum by its
    own variance.

    Raises:
        FitRefused: fewer than three budgets with enough sizes, or with a minimum inside.
    """
    sizes = [(group, len(np.unique(n[group]))) for group in budgets(c)]
    groups = [group for group, count in sizes if count >= LEAST_SIZES]
    few = tuple(
        (float(np.median(c[group])), f"{count} model scales; a profile takes {LEAST_SIZES}")
        for group, count in sizes
        if count < LEAST_SIZES
    )
    if len(groups) < LEAST_BUDGETS:
        raise FitRefused(
            f"{len(groups)} budgets with at least {LEAST_SIZES} model scales within a factor of {SAME_BUDGET} in FLOPs; "
            f"power laws need {LEAST_BUDGETS}"
        )
    tried = [_parabola(group, n, d, c, loss) for group in groups]
    sound = [found for found in tried if isinstance(found, _Parabola)]
    refused = tuple(found for found in tried if not isinstance(found, _Parabola))
    if len(sound) < LEAST_BUDGETS:
        why = "; ".join(f"{compute:.3g} FLOPs: {reason}" for compute, reason in refused)
        raise FitRefused(f"{len(sound)} of {len(groups)} budgets have a minimum inside, power laws need {LEAST_BUDGETS} ({why})")
    return _power_laws(sound, refused + few, rounds, np.random.default_rng(seed))


def _parabola(group: Indices, n: Array, d: Array, c: Array, loss: Array) -> _Parabola | tuple[float, str]:
    """The parabola of a budget in the window around its own optimum, or why it has none."""
    x, z, log_c = np.log(n), np.log(loss), np.log(c)
    budget = float(np.median(log_c[group]))
    centre, least, most = float(x[group[z[group].argmin()]]), x[group].min(), x[group].max()
    for _ in range(50):
        fitted = _window(group, x, centre)
        design = _design(x[fitted] - centre, log_c[fitted] - budget)
        inverse: Array = np.asarray(np.linalg.pinv(design), dtype=np.float64)
        coefficients: Array = np.asarray(inverse @ z[fitted], dtype=np.float64)
        if coefficients[2] <= 0:
            return float(np.exp(budget)), "no minimum: the profile is not convex around its least loss"
        optimum = centre - coefficients[1] / (2 * coefficients[2])
        if not least < optimum < most:
            side = "smallest" if optimum <= least else "largest"
            return float(np.exp(budget)), f"no minimum inside: the loss still falls at the {side} model"
        if abs(optimum - centre) < 1e-9:
            break
        centre = float(optimum)
    slope = np.polyfit(x[fitted] - centre, np.log(d[fitted]) - (log_c[fitted] - budget), 1)
    return _Parabola(float(np.exp(budget)), group, fitted, centre, design, inverse, coefficients, (slope[1], slope[0]), z[fitted])


def _window(group: Indices, x: Array, centre: float) -> Indices:
    """The runs within `WINDOW` of the centre, or the nearest sizes where those are too few."""
    away = np.abs(x[group] - centre)
    sizes = np.unique(away)
    reach = max(np.log(WINDOW), sizes[min(LEAST_SIZES, len(sizes)) - 1])
    return group[away <= reach]


def _design(u: Array, off_budget: Array) -> Array:
    columns = [np.ones_like(u), u, u * u]
    if np.ptp(off_budget) > np.log(_HELD) and len(u) > 5:
        columns.append(off_budget)
    return np.stack(columns, axis=1)


def _power_laws(
    sound: list[_Parabola], refused: tuple[tuple[float, str], ...], rounds: int, generator: np.random.Generator
) -> IsoFlop:
    moved = _moved_optima(sound, rounds, generator)
    variance = np.nanvar(moved, axis=0)
    weights = 1 / (variance + 1e-2 * np.median(variance) + 1e-18)
    log_c = np.log([parabola.compute for parabola in sound])
    log_n, log_d = np.array([p.centre for p in sound]), np.array([p.log_d[0] for p in sound])
    moved_n = log_n + moved
    moved_d = log_d + moved * np.array([p.log_d[1] for p in sound])
    n_line, d_line = (_lines(values[None], weights, log_c)[0] for values in (log_n, log_d))
    n_lines, d_lines = (_lines(values, weights, log_c) for values in (moved_n, moved_d))
    return IsoFlop(
        n_exponent=estimate(n_line[1], n_lines[:, 1]),
        n_coefficient=estimate(np.exp(n_line[0]), np.exp(n_lines[:, 0])),
        d_exponent=estimate(d_line[1], d_lines[:, 1]),
        d_coefficient=estimate(np.exp(d_line[0]), np.exp(d_lines[:, 0])),
        profiles=tuple(_profile(p, np.exp(moved_n[:, i]), np.exp(moved_d[:, i])) for i, p in enumerate(sound)),
        refused=refused,
    )


def _moved_optima(sound: list[_Parabola], rounds: int, generator: np.random.Generator) -> Array:
    """How far the optimum of each profile moves in log N, (rounds, P); not a number where a round has no minimum in reach."""
    pool = np.concatenate([parabola.residuals for parabola in sound])
    moved = []
    for parabola in sound:
        noise = generator.choice(pool, size=(rounds, len(parabola.fitted)))
        _, first, second = (parabola.coefficients + noise @ parabola.inverse.T).T[:3]
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = np.where(second > 0, -first / (2 * second), np.nan)
        moved.append(np.where(np.abs(shift) <= np.log(WINDOW), shift, np.nan))
    return np.stack(moved, axis=1)


def _lines(values: Array, weights: Array, log_c: Array) -> Array:
    """Weighted least squares of each row of `values` over `log_c`, (rows, 2): intercept and slope."""
    known = np.where(np.isfinite(values), weights, 0.0)
    y = np.nan_to_num(values)
    total = known.sum(axis=1)
    mean_x, mean_y = (known * log_c).sum(axis=1) / total, (known * y).sum(axis=1) / total
    away = log_c - mean_x[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (known * away * (y - mean_y[:, None])).sum(axis=1) / (known * away**2).sum(axis=1)
    slope = np.where((known > 0).sum(axis=1) >= LEAST_BUDGETS, slope, np.nan)
    return np.stack([mean_y - slope * mean_x, slope], axis=1)


def _profile(parabola: _Parabola, n_draws: Array, d_draws: Array) -> IsoFlopProfile:
    c0, c1, c2 = parabola.coefficients[:3]
    return IsoFlopProfile(
        compute=parabola.compute,
        runs=parabola.runs,
        fitted=parabola.fitted,
        curve=(float(c0), float(c1), float(c2)),
        centre=parabola.centre,
        n_optimum=estimate(np.exp(parabola.centre), n_draws),
        d_optimum=estimate(np.exp(parabola.log_d[0]), d_draws),
        loss=float(np.exp(c0 - c1**2 / (4 * c2))),
    )
