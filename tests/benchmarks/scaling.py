"""Fitting and planning: a table of 2 000 runs with 1 000 bootstrap rounds, a plan, and scipy's L-BFGS-B on the same fit.

`python -m tests.benchmarks.scaling`. scipy does what the replication of Chinchilla did for one fit, from as many starts as ours;
its bootstrap, warm-started as ours is, is timed for a few rounds and multiplied.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from components.scaling.config import Accelerators, FitConfig, ScalingConfig
from components.scaling.fitting.fit import fit
from components.scaling.fitting.parametric import best
from components.scaling.fitting.robust import DELTA, Array
from components.scaling.fitting.runs import Runs
from components.scaling.laws.published import LAWS
from components.scaling.planning.planner import Planner
from components.scaling.planning.proposal import propose
from components.training.config import Choices, TrainingConfig
from tests.benchmarks.rows import Row, write

RUNS, ROUNDS, PEER_ROUNDS = 2000, 1000, 10
LIMIT_FIT_SECONDS = 30.0
LIMIT_PLAN_SECONDS = 0.3
STARTS = [(a, b, 0.5, alpha, beta) for a in (3.0, 8.0) for b in (3.0, 8.0) for alpha in (0.2, 0.5) for beta in (0.2, 0.5)]


def main() -> None:
    """Run the benchmark and write its rows."""
    runs = table()
    ours, _ = timed(lambda: fit(runs, FitConfig(rounds=ROUNDS)))
    planned, _ = timed(plan)
    n, d, loss = (runs.values[name] for name in ("n", "d", "loss"))
    once, coefficients = timed(lambda: best(n, d, loss))
    theirs_once, theta = timed(lambda: min((peer(n, d, loss, start) for start in STARTS), key=lambda candidate: candidate[0])[1])
    theirs_rounds, _ = timed(lambda: peer_rounds(n, d, loss, theta))
    e, a, b, alpha, beta = coefficients
    reached = huber(np.array([np.log(a), np.log(b), np.log(e), alpha, beta]), n, d, loss)[0]
    theirs = theirs_once + theirs_rounds * ROUNDS / PEER_ROUNDS
    rows = [
        Row(
            name=f"fit of {RUNS} runs, {ROUNDS} rounds, both methods",
            ours=ours,
            reference=LIMIT_FIT_SECONDS,
            target="<= 1",
            unit="s",
        ),
        Row(name="plan on a cluster", ours=planned, reference=LIMIT_PLAN_SECONDS, target="<= 1", unit="s"),
        Row(name="one parametric fit / L-BFGS-B", ours=once, reference=theirs_once, target="<= 1", unit="s"),
        Row(name="fit with bootstrap / L-BFGS-B", ours=ours, reference=theirs, target="<= 1", unit="s"),
        Row(name="objective / L-BFGS-B", ours=reached, reference=huber(theta, n, d, loss)[0], target="<= 1.000001", unit="Huber"),
    ]
    write("scaling", rows, Path(".longrun"))


def table() -> Runs:
    """20 budgets of 100 runs from a known law with half a percent of noise."""
    compute = np.repeat(np.geomspace(1e18, 1e22, 20), RUNS // 20)
    n = 0.09 * compute**0.5 * np.tile(np.geomspace(0.15, 7, RUNS // 20), 20)
    d = compute / 6 / n
    loss = (1.69 + 406.4 / n**0.34 + 410.7 / d**0.28) * np.exp(0.005 * np.random.default_rng(0).standard_normal(RUNS))
    return Runs(values={"n": n, "d": d, "loss": loss}, rows=tuple(range(2, RUNS + 2)), excluded=())


def plan() -> object:
    """A plan laid out on 2 048 accelerators."""
    choices = Choices(training=TrainingConfig(micro_batch_tokens=1))
    planner = Planner(config=ScalingConfig(compute=1e24), choices=choices, vocab_size=102_400, law=LAWS["deepseek"])
    return propose(planner, Accelerators(gpus=2048))


def peer_rounds(n: Array, d: Array, loss: Array, theta: Array) -> None:
    """A few bootstrap rounds with scipy."""
    generator = np.random.default_rng(0)
    for _ in range(PEER_ROUNDS):
        drawn = generator.integers(len(n), size=len(n))
        peer(n[drawn], d[drawn], loss[drawn], theta)


def peer(n: Array, d: Array, loss: Array, start: object) -> tuple[float, Array]:
    """The smallest Huber loss that L-BFGS-B reaches with the exact gradient, and the coefficients there."""
    optimum = minimize(
        huber, start, args=(n, d, loss), jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-14, "gtol": 1e-9}
    )
    return float(optimum.fun), np.asarray(optimum.x)


def huber(theta: Array, n: Array, d: Array, loss: Array) -> tuple[float, Array]:
    """The objective and its gradient at a, b, e, alpha, beta (arXiv 2203.15556, appendix D.2)."""
    a, b, e, alpha, beta = theta
    log_n, log_d = np.log(n), np.log(d)
    terms = np.exp(np.stack([a - alpha * log_n, b - beta * log_d, np.full_like(n, e)]))
    total = terms.sum(axis=0)
    share, residual = terms / total, np.log(total) - np.log(loss)
    size = np.abs(residual)
    value = np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2)).sum()
    slopes = np.stack([share[0], share[1], share[2], -share[0] * log_n, -share[1] * log_d])
    return float(value), np.asarray(slopes @ np.clip(residual, -DELTA, DELTA))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    main()
