"""IsoFLOP profiles: a parabola of log loss over log N at each budget, the optimum of each, and power laws through the optima.

Method: arXiv 2203.15556, section 3.2 (approach 2), and arXiv 2401.02954, section 3.2.
"""

from dataclasses import dataclass

import numpy as np

from components.errors import FitRefused
from components.scaling.fitting.intervals import Estimate, estimate
from components.scaling.fitting.robust import Array, Indices

SAME_BUDGET = 1.15
"""Largest over smallest C of a profile: published tables round one budget, jitter it, or read it off a figure."""

MIN_SCALES = 4
"""Different N of a profile: one more than a parabola needs."""

MIN_BUDGETS = 3
"""Budgets of a power law: one more than a line needs."""

WINDOW = 8.0
"""Runs within this factor of the optimal N are fitted. Far from it the true profile is asymmetric; a window around the optimum
distorts it in the same way at every budget, so that exponents are unbiased."""

_CONSTANT_BUDGET = 1.01
"""Largest over smallest C up to which a budget counts as constant; beyond, a term linear in log C is fitted too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IsoFlopProfile:
    """The runs of one budget and the parabola through those near its optimum."""

    compute: float
    """The budget: the median C of its runs."""
    runs: Indices
    """Indices of its runs."""
    fitted: Indices
    """Indices of the runs within the window."""
    curve: tuple[float, float, float]
    """c0, c1, c2 of log loss = c0 + c1·u + c2·u², with u = log N - centre."""
    centre: float
    n_optimum: Estimate
    d_optimum: Estimate
    loss: float
    """Loss at the optimum, by the parabola."""


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
        """Log residuals, each divided by sqrt(1 - leverage): those of a fit to few runs are smaller than the scatter of a run."""
        leverage = np.clip(np.einsum("ij,ji->i", self.design, self.inverse), 0.0, 1 - 1e-9)
        residuals = self._log_loss - self.design @ self.coefficients
        freedom = len(self.design) - self.design.shape[1]
        return np.asarray(residuals / np.sqrt(1 - leverage)) if freedom > 0 else np.zeros(0)

    _log_loss: Array


def budgets(compute: Array) -> list[Indices]:
    """Indices of the runs of each budget, by rising budget.

    The window of `SAME_BUDGET` in log C with the most runs is the first budget; the same is done with the remaining runs.
    """
    remaining: Indices = np.argsort(compute, kind="stable")
    groups: list[Indices] = []
    log_c = np.log(compute)
    while len(remaining):
        ends = np.searchsorted(log_c[remaining], log_c[remaining] + np.log(SAME_BUDGET), side="right")
        starts = np.arange(len(remaining))
        spread = log_c[remaining[ends - 1]] - log_c[remaining]
        start = int(np.lexsort((spread, -(ends - starts)))[0])
        groups.append(remaining[start : ends[start]])
        remaining = np.delete(remaining, np.arange(start, ends[start]))
    return sorted(groups, key=lambda group: float(np.median(log_c[group])))


def fit_isoflop(n: Array, d: Array, c: Array, loss: Array, *, rounds: int, seed: int) -> IsoFlop:
    """Fit profiles and power laws; arrays are (R), positive.

    The bootstrap adds residuals to each parabola, drawn from those of all profiles. The power laws weigh each optimum by the
    inverse of its variance.

    Raises:
        FitRefused: fewer than three budgets with enough sizes, or with a minimum inside.
    """
    sizes = [(group, len(np.unique(n[group]))) for group in budgets(c)]
    groups = [group for group, count in sizes if count >= MIN_SCALES]
    few = tuple(
        (float(np.median(c[group])), f"{count} model scales; a profile takes {MIN_SCALES}")
        for group, count in sizes
        if count < MIN_SCALES
    )
    if len(groups) < MIN_BUDGETS:
        raise FitRefused(
            f"{len(groups)} budgets with at least {MIN_SCALES} model scales within a factor of {SAME_BUDGET} in FLOPs; "
            f"power laws need {MIN_BUDGETS}"
        )
    results = [_parabola(group, n, d, c, loss) for group in groups]
    sound = [result for result in results if isinstance(result, _Parabola)]
    refused = tuple(result for result in results if not isinstance(result, _Parabola))
    if len(sound) < MIN_BUDGETS:
        why = "; ".join(f"{compute:.3g} FLOPs: {reason}" for compute, reason in refused)
        raise FitRefused(f"{len(sound)} of {len(groups)} budgets have a minimum inside, power laws need {MIN_BUDGETS} ({why})")
    return _power_laws(sound, refused + few, rounds, np.random.default_rng(seed))


def _parabola(group: Indices, n: Array, d: Array, c: Array, loss: Array) -> _Parabola | tuple[float, str]:
    """The parabola of a budget in the window around its own optimum, or why it has none."""
    x, z, log_c = np.log(n), np.log(loss), np.log(c)
    budget = float(np.median(log_c[group]))
    centre, smallest, largest = float(x[group[z[group].argmin()]]), x[group].min(), x[group].max()
    for _ in range(50):
        fitted = _window(group, x, centre)
        design = _design(x[fitted] - centre, log_c[fitted] - budget)
        inverse: Array = np.asarray(np.linalg.pinv(design), dtype=np.float64)
        coefficients: Array = np.asarray(inverse @ z[fitted], dtype=np.float64)
        if coefficients[2] <= 0:
            return float(np.exp(budget)), "no minimum: the profile is not convex around its least loss"
        optimum = centre - coefficients[1] / (2 * coefficients[2])
        if not smallest < optimum < largest:
            edge = "smallest" if optimum <= smallest else "largest"
            return float(np.exp(budget)), f"no minimum inside: the loss still falls at the {edge} model"
        if abs(optimum - centre) < 1e-9:
            break
        centre = float(optimum)
    slope = np.polyfit(x[fitted] - centre, np.log(d[fitted]) - (log_c[fitted] - budget), 1)
    return _Parabola(float(np.exp(budget)), group, fitted, centre, design, inverse, coefficients, (slope[1], slope[0]), z[fitted])


def _window(group: Indices, x: Array, centre: float) -> Indices:
    """The runs within `WINDOW` of the centre, or those of the nearest model scales where there are too few."""
    distance = np.abs(x[group] - centre)
    distances = np.unique(distance)
    radius = max(np.log(WINDOW), distances[min(MIN_SCALES, len(distances)) - 1])
    return group[distance <= radius]


def _design(u: Array, off_budget: Array) -> Array:
    columns = [np.ones_like(u), u, u * u]
    if np.ptp(off_budget) > np.log(_CONSTANT_BUDGET) and len(u) > 5:
        columns.append(off_budget)
    return np.stack(columns, axis=1)


def _power_laws(
    sound: list[_Parabola], refused: tuple[tuple[float, str], ...], rounds: int, generator: np.random.Generator
) -> IsoFlop:
    shifts = _bootstrap_shifts(sound, rounds, generator)
    variance = np.nanvar(shifts, axis=0)
    weights = 1 / (variance + 1e-2 * np.median(variance) + 1e-18)
    log_c = np.log([parabola.compute for parabola in sound])
    log_n, log_d = np.array([p.centre for p in sound]), np.array([p.log_d[0] for p in sound])
    drawn_n = log_n + shifts
    drawn_d = log_d + shifts * np.array([p.log_d[1] for p in sound])
    n_line, d_line = (_lines(values[None], weights, log_c)[0] for values in (log_n, log_d))
    n_lines, d_lines = (_lines(values, weights, log_c) for values in (drawn_n, drawn_d))
    return IsoFlop(
        n_exponent=estimate(n_line[1], n_lines[:, 1]),
        n_coefficient=estimate(np.exp(n_line[0]), np.exp(n_lines[:, 0])),
        d_exponent=estimate(d_line[1], d_lines[:, 1]),
        d_coefficient=estimate(np.exp(d_line[0]), np.exp(d_lines[:, 0])),
        profiles=tuple(_profile(p, np.exp(drawn_n[:, i]), np.exp(drawn_d[:, i])) for i, p in enumerate(sound)),
        refused=refused,
    )


def _bootstrap_shifts(sound: list[_Parabola], rounds: int, generator: np.random.Generator) -> Array:
    """Shift of each profile's optimum in log N in each round, (rounds, P); NaN where a round has no minimum within the window."""
    pool = np.concatenate([parabola.residuals for parabola in sound])
    shifts = []
    for parabola in sound:
        noise = generator.choice(pool, size=(rounds, len(parabola.fitted)))
        _, first, second = (parabola.coefficients + noise @ parabola.inverse.T).T[:3]
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = np.where(second > 0, -first / (2 * second), np.nan)
        shifts.append(np.where(np.abs(shift) <= np.log(WINDOW), shift, np.nan))
    return np.stack(shifts, axis=1)


def _lines(values: Array, weights: Array, log_c: Array) -> Array:
    """Weighted least squares of each row of `values` over `log_c`, (rows, 2): intercept and slope."""
    known = np.where(np.isfinite(values), weights, 0.0)
    y = np.nan_to_num(values)
    total = known.sum(axis=1)
    mean_x, mean_y = (known * log_c).sum(axis=1) / total, (known * y).sum(axis=1) / total
    distance = log_c - mean_x[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (known * distance * (y - mean_y[:, None])).sum(axis=1) / (known * distance**2).sum(axis=1)
    slope = np.where((known > 0).sum(axis=1) >= MIN_BUDGETS, slope, np.nan)
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
