"""Tables of runs drawn from a known law."""

from pathlib import Path

import numpy as np
import pytest

from components.scaling.config import FitConfig
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.robust import Array
from components.scaling.fitting.runs import Runs
from components.scaling.laws.law import LossLaw, allocation
from tests.paths import SHARED

TRUTH = LossLaw(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
"""Hoffmann et al., arXiv 2203.15556, equation 10."""

EPOCH = SHARED / "data/scaling/chinchilla-epoch/data/svg_extracted_data.csv"


def drawn(seed: int, *, noise: float = 0.005, budgets: int = 8, sizes: int = 10) -> tuple[Array, Array, Array, Array]:
    """N, D, C and loss of profiles around the optimum, with log-normal noise in the loss."""
    compute = np.repeat(np.geomspace(1e18, 1e21, budgets), sizes)
    model, _ = allocation(TRUTH, 6.0)
    n = np.array([model.at(c) for c in compute]) * np.tile(np.geomspace(1 / 6, 6, sizes), budgets)
    d = compute / 6 / n
    loss = TRUTH.E + TRUTH.A / n**TRUTH.alpha + TRUTH.B / d**TRUTH.beta
    return n, d, compute, loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(compute)))


QUICK = FitConfig(rounds=100)


def runs(**values: object) -> Runs:
    """A table of these columns."""
    arrays = {name: np.asarray(value, dtype=float) for name, value in values.items()}
    return Runs(values=arrays, rows=tuple(range(2, 2 + len(arrays["loss"]))), excluded=())


def whole(seed: int = 0) -> Fit:
    """A fit of both methods."""
    n, d, _, loss = drawn(seed)
    return fit(runs(n=n, d=d, loss=loss), QUICK)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The same as a CSV file with other columns beside."""
    n, d, c, loss = drawn(0)
    rows = [f"{a!r},{b!r},run,{x!r},{y!r}" for a, b, x, y in zip(n.tolist(), d.tolist(), c.tolist(), loss.tolist(), strict=True)]
    (tmp_path / "runs.csv").write_text("\n".join(["params,tokens,name,FLOPs,final loss", *rows]) + "\n")
    return tmp_path / "runs.csv"
