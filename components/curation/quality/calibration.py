"""Scores into shares: where a document stands among those of its own language and domain, and who is refused.

A classifier's log-odds mean something else in every language and domain: one cut through all of them would take away whole
languages. So each language in each domain is cut at its own quantile, counted exactly by histograms that add up in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS, STEP = 4096, 1 / 128
"""Log-odds from -16 to 16; a bin holds at most a few thousandths of a language."""

Group = tuple[str, str]
"""A language and a domain."""

Histogram = dict[Group, npt.NDArray[np.int64]]
"""Documents and bytes in each bin, int64 [2, `BINS`], by group."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one group was cut."""

    cut: int
    """The first bin that is not refused."""
    quality: npt.NDArray[np.float32]
    """For each bin, the share of the group's documents below it, its own counting half; float32 [`BINS`]."""

    @property
    def log_odds(self) -> float:
        """Below them documents are refused."""
        return self.cut * STEP - BINS * STEP / 2


def bins_of(log_odds: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The bin of each score, int64 [scores]."""
    return np.clip(np.floor(log_odds / STEP) + BINS // 2, 0, BINS - 1).astype(np.int64)


def counted(bins: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Documents and bytes in each bin, int64 [2, `BINS`]."""
    found = np.zeros((2, BINS), dtype=np.int64)
    np.add.at(found[0], bins, 1)
    np.add.at(found[1], bins, sizes)
    return found


def added(left: Histogram, right: Histogram) -> Histogram:
    """Both together."""
    nothing = np.zeros((2, BINS), dtype=np.int64)
    return {group: left.get(group, nothing) + right.get(group, nothing) for group in {**left, **right}}


def standings(histogram: Mapping[Group, npt.NDArray[np.int64]], max_removed_share: float) -> dict[Group, Standing]:
    """Cut each group so that at most `max_removed_share` of its documents lie below, never more."""
    found = {}
    for group, (documents, _) in sorted(histogram.items()):
        below = np.concatenate([[0], np.cumsum(documents)])
        cut = int(np.searchsorted(below, max_removed_share * below[-1], side="right")) - 1
        quality = (below[:-1] + documents / 2) / max(1, below[-1])
        found[group] = Standing(min(cut, BINS), quality.astype(np.float32))
    return found
