"""Log-probabilities of held-out answers, from which all measures before and after a training run are computed."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from components.alignment.batches import Item, collate, grouped_by_length
from components.alignment.objectives import answer_log_probabilities

Record = TypeVar("Record")

ALL = "all"
"""Name of all kinds together."""

DRAWS = 1000
"""Number of bootstrap draws. With 1000, the ends of the interval vary by about a twentieth of its length."""


@torch.no_grad()
def log_probabilities(model: nn.Module, items: Sequence[Item], micro_batch_tokens: int) -> npt.NDArray[np.float64]:
    """log π(answer | prompt) in nats of each example of each item: shape [items, examples of an item].

    Computed on the model's device and in its precision.
    """
    device = next(model.parameters()).device
    scores = np.zeros((len(items), len(items[0])))
    for group in grouped_by_length(items, micro_batch_tokens):
        batch = {name: tensor.to(device) for name, tensor in collate([items[index] for index in group]).items()}
        scores_E = answer_log_probabilities(model, batch).double().cpu().numpy()
        scores[group] = scores_E.reshape(len(items[0]), len(group)).T
    return scores


def by_kind(kinds: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """For each kind, sorted by name, a mask of its rows; if there are several kinds, `ALL` comes first."""
    column = np.array(kinds)
    masks = {kind: column == kind for kind in sorted(set(kinds))}
    return masks if len(masks) == 1 else {ALL: np.ones(len(kinds), dtype=np.bool_)} | masks


def first_of_each_kind(records: Iterable[Record], kind: Callable[[Record], str], max_per_kind: int) -> list[Record]:
    """The first `max_per_kind` records of each kind."""
    counts: dict[str, int] = {}
    chosen = []
    for record in records:
        counts[kind(record)] = counts.get(kind(record), 0) + 1
        if counts[kind(record)] <= max_per_kind:
            chosen.append(record)
    return chosen


def mean_interval(totals: npt.NDArray[np.float64], counts: npt.NDArray[np.int64] | None = None) -> tuple[float, float]:
    """The 95 % confidence interval of sum(totals) / sum(counts), by a percentile bootstrap over the examples.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.

    Args:
        totals: float64 [examples].
        counts: number of terms in each example's total, [examples]; None: one each, which gives the interval of a mean.
    """
    weights = np.ones(len(totals)) if counts is None else counts
    drawn = np.random.default_rng(0).multinomial(len(totals), np.full(len(totals), 1 / len(totals)), size=DRAWS)
    low, high = np.quantile((drawn @ totals) / (drawn @ weights), (0.025, 0.975))
    return float(low), float(high)
