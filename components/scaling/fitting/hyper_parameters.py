"""Power laws for batch size and learning rate through the near-optimal runs of a grid at each budget.

Method: DeepSeek LLM, arXiv 2401.02954, section 3.1.
"""

from dataclasses import dataclass

import numpy as np

from components.errors import FitRefused
from components.scaling.fitting.intervals import Estimate, estimate
from components.scaling.fitting.isoflop import MIN_BUDGETS, budgets
from components.scaling.fitting.robust import Array

NEAR = 0.0025
"""A run is near-optimal if its loss exceeds the least of its budget by at most this share (section 3.1)."""

MIN_GRID = 4
"""Runs of a budget: fewer are no grid over batch and learning rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """The grid of one budget, ready for contours: arrays (R) of equal length."""

    compute: float
    """The budget: the median C of its runs."""
    batch: Array
    learning_rate: Array
    excess: Array
    """Loss over the least one of the budget, less 1; near-optimal up to `NEAR`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HyperParameters:
    """batch = batch_coefficient · C^batch_exponent, and the same for the learning rate."""

    batch_exponent: Estimate
    batch_coefficient: Estimate
    learning_rate_exponent: Estimate
    learning_rate_coefficient: Estimate
    surfaces: tuple[Surface, ...]
    edges: tuple[tuple[float, str], ...]
    """Budgets whose least loss is at the edge of their grid, and at which: the optimum may lie beyond."""
    refused: tuple[tuple[float, str], ...]
    """Budgets without a grid, with the reason."""


def fit_hyper_parameters(c: Array, batch: Array, learning_rate: Array, loss: Array, *, rounds: int, seed: int) -> HyperParameters:
    """Fit the laws; arrays are (R), positive, `batch` in tokens.

    The bootstrap draws the runs of each budget with replacement, so that it also changes which are near-optimal.

    Raises:
        FitRefused: fewer than three budgets with a grid.
    """
    groups = budgets(c)
    grids = [group for group in groups if len(group) >= MIN_GRID]
    if len(grids) < MIN_BUDGETS:
        raise FitRefused(f"{len(grids)} budgets with at least {MIN_GRID} runs; power laws need {MIN_BUDGETS}")
    surfaces = tuple(
        Surface(
            compute=float(np.median(c[grid])),
            batch=batch[grid],
            learning_rate=learning_rate[grid],
            excess=loss[grid] / loss[grid].min() - 1,
        )
        for grid in grids
    )
    counts = _draws(surfaces, rounds, np.random.default_rng(seed))
    log_c = np.concatenate([np.full(len(surface.batch), np.log(surface.compute)) for surface in surfaces])
    lines = {
        name: _lines(counts, log_c, np.log(np.concatenate([getattr(surface, name) for surface in surfaces])))
        for name in ("batch", "learning_rate")
    }
    return HyperParameters(
        batch_exponent=estimate(lines["batch"][0, 1], lines["batch"][1:, 1]),
        batch_coefficient=estimate(np.exp(lines["batch"][0, 0]), np.exp(lines["batch"][1:, 0])),
        learning_rate_exponent=estimate(lines["learning_rate"][0, 1], lines["learning_rate"][1:, 1]),
        learning_rate_coefficient=estimate(np.exp(lines["learning_rate"][0, 0]), np.exp(lines["learning_rate"][1:, 0])),
        surfaces=surfaces,
        edges=tuple(edge for surface in surfaces for edge in _edges(surface)),
        refused=tuple(
            (float(np.median(c[group])), f"{len(group)} runs are no grid; it takes {MIN_GRID}")
            for group in groups
            if len(group) < MIN_GRID
        ),
    )


def _draws(surfaces: tuple[Surface, ...], rounds: int, generator: np.random.Generator) -> Array:
    """How often each near-optimal run counts, (1 + rounds, R): first in the data, then in each round of the bootstrap."""
    counts = []
    for surface in surfaces:
        size = len(surface.excess)
        drawn = generator.multinomial(size, np.full(size, 1 / size), size=rounds).astype(np.float64)
        drawn = np.concatenate([np.ones((1, size)), drawn])
        best = np.where(drawn > 0, 1 + surface.excess, np.inf).min(axis=1, keepdims=True)
        counts.append(drawn * (1 + surface.excess <= (1 + NEAR) * best))
    return np.concatenate(counts, axis=1)


def _lines(counts: Array, x: Array, y: Array) -> Array:
    """Intercept and slope of y over x by least squares, for each row of counts, (rows, 2)."""
    total = counts.sum(axis=1)
    mean_x, mean_y = (counts @ x) / total, (counts @ y) / total
    distance = x - mean_x[:, None]
    slope = (counts * distance * (y - mean_y[:, None])).sum(axis=1) / (counts * distance**2).sum(axis=1)
    return np.stack([mean_y - slope * mean_x, slope], axis=1)


def _edges(surface: Surface) -> list[tuple[float, str]]:
    best = int(surface.excess.argmin())
    return [
        (surface.compute, f"the least loss lies at the {end} {quantity} of the grid")
        for quantity, values in (("batch", surface.batch), ("learning rate", surface.learning_rate))
        for end, edge in (("smallest", values.min()), ("largest", values.max()))
        if values[best] == edge and np.ptp(values) > 0
    ]
