"""Power laws for batch size and learning rate through the near-optimal runs of a grid at each budget.

Method: DeepSeek LLM, arXiv 2401.02954, section 3.1.
"""

from dataclasses import dataclass

import numpy as np

from components.errors import FitRefused
from components.scaling.fitting.intervals import Estimate, estimate
from components.scaling.fitting.isoflop import LEAST_BUDGETS, budgets
from components.scaling.fitting.robust import Array

NEAR = 0.0025
"""A run is near-optimal where its loss is above the least of its budget by at most this share (section 3.1)."""

LEAST_GRID = 4
"""Runs at a budget: fewer are no grid over batch and learning rate."""


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
    """Budgets whose least loss lies at the edge of their grid, and in which direction: the optimum may lie beyond."""
    small: tuple[tuple[float, str], ...]
    """Budgets left out, with the reason."""


def fit_hyper_parameters(c: Array, batch: Array, learning_rate: Array, loss: Array, *, rounds: int, seed: int) -> HyperParameters:
    """Fit the laws; arrays are (R), positive, `batch` in tokens.

    The bootstrap draws the runs of each budget with replacement, so that it also changes which are near-optimal.

    Raises:
        FitRefused: fewer than three budgets with a grid.
    """
    groups = budgets(c)
    grids = [group for group in groups if len(group) >= LEAST_GRID]
    if len(grids) < LEAST_BUDGETS:
        raise FitRefused(f"{len(grids)} budgets with at least {LEAST_GRID} runs; power laws need {LEAST_BUDGETS}")
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
        small=tuple(
            (float(np.median(c[group])), f"{len(group)} runs are no grid; it takes {LEAST_GRID}")
            for group in groups
            if len(group) < LEAST_GRID
        ),
    )


def _draws(surfaces: tuple[Surface, ...], rounds: int, generator: np.random.Generator) -> Array:
    """How often each run counts, (1 + rounds, R): the near-optimal ones of the data, then those of each round."""
    parts = []
    for surface in surfaces:
        size = len(surface.excess)
        drawn = generator.multinomial(size, np.full(size, 1 / size), size=rounds).astype(np.float64)
        drawn = np.concatenate([np.ones((1, size)), drawn])
        least = np.where(drawn > 0, 1 + surface.excess, np.inf).min(axis=1, keepdims=True)
        parts.append(drawn * (1 + surface.excess <= (1 + NEAR) * least))
    return np.concatenate(parts, axis=1)


def _lines(counts: Array, x: Array, y: Array) -> Array:
    """Intercept and slope of y over x by least squares, for each row of counts, (rows, 2)."""
    total = counts.sum(axis=1)
    mean_x, mean_y = (counts @ x) / total, (counts @ y) / total
    away = x - mean_x[:, None]
    slope = (counts * away * (y - mean_y[:, None])).sum(axis=1) / (counts * away**2).sum(axis=1)
    return np.stack([mean_y - slope * mean_x, slope], axis=1)


def _edges(surface: Surface) -> list[tuple[float, str]]:
    best = int(surface.excess.argmin())
    return [
        (surface.compute, f"the least loss lies at the {side} {words} of the grid")
        for words, values in (("batch", surface.batch), ("learning rate", surface.learning_rate))
        for side, edge in (("smallest", values.min()), ("largest", values.max()))
        if values[best] == edge and np.ptp(values) > 0
    ]
