"""Corpora compared by the laws fitted on them: how a budget is divided, and what loss it buys (arXiv 2401.02954, section 3.3).

The better the data, the more of the budget goes to the model. Pure arithmetic.
"""

from collections.abc import Mapping

from components.errors import FitRefused
from components.files import JSON
from components.flops import SCALES
from components.scaling.laws.law import Law, allocation
from components.scaling.laws.prediction import predict, quantile


def compare(laws: Mapping[str, Law], compute: float) -> dict[str, JSON]:
    """For each corpus its exponents, and the loss of the optimal training at `compute` FLOPs, each with an interval.

    "apart" lists the figures whose 95 % intervals do not overlap.

    Raises:
        FitRefused: a law without a parametric fit.
    """
    intervals = {name: _intervals(law, compute) for name, law in laws.items()}
    corpora: dict[str, JSON] = {name: {**intervals[name], **_optimum(law, compute)} for name, law in laws.items()}
    compared = ("n_exponent", "d_exponent", "loss")
    different = [name for name in compared if not _overlap([of_corpus[name] for of_corpus in intervals.values()])]
    return {"compute": compute, "corpora": corpora, "apart": different}


def _intervals(law: Law, compute: float) -> dict[str, dict[str, float]]:
    if law.loss is None:
        raise FitRefused(f"the law {law.name} has no parametric fit to compare by; its report says why")
    model, tokens = allocation(law.loss, SCALES[law.scale])
    loss = predict(law.loss, model.at(compute), tokens.at(compute))
    shares = [beta / (alpha + beta) for _, _, _, alpha, beta, _ in law.loss.draws] or [model.exponent]
    low, high = quantile(shares, 0.025), quantile(shares, 0.975)
    return {
        "n_exponent": {"value": model.exponent, "low": low, "high": high},
        "d_exponent": {"value": tokens.exponent, "low": 1 - high, "high": 1 - low},
        "loss": {"value": loss.loss, "low": loss.low, "high": loss.high},
    }


def _optimum(law: Law, compute: float) -> dict[str, JSON]:
    assert law.loss is not None
    model, tokens = allocation(law.loss, SCALES[law.scale])
    return {
        "isoflop_n_exponent": law.model.exponent,
        "figure": law.figure,
        "model_optimum": model.at(compute),
        "tokens_optimum": tokens.at(compute),
    }


def _overlap(intervals: list[Mapping[str, float]]) -> bool:
    return max(interval["low"] for interval in intervals) <= min(interval["high"] for interval in intervals)
