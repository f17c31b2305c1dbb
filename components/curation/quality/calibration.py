"""Calibrates classifier scores: converts log-odds to quantiles within a language and domain, and sets the cut for refusals.

A classifier's log-odds are not comparable between languages and domains, so a single cut would remove whole languages. Instead,
each language in each domain is cut at its own quantile, computed from histograms that can be added in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS, STEP = 4096, 1 / 128
"""Number and width of the histogram's bins: log-odds from -16 to 16. A bin holds at most a few thousandths of a language."""

Group = tuple[str, str]
"""A language and a domain."""

Histogram = dict[Group, npt.NDArray[np.int64]]
"""Documents (row 0) and bytes (row 1) in each bin, int64 [2, `BINS`], by group."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The cut and the quality scale of one group."""

    cut: int
    """The lowest bin whose documents are not refused."""
    quality: npt.NDArray[np.float32]
    """Quality of the documents in each bin: the share of the group's documents in lower bins plus half of the share in this bin,
    float32 [`BINS`]."""

    @property
    def log_odds(self) -> float:
        """The log-odds below which documents are refused."""
        return self.cut * STEP - BINS * STEP / 2


def bins_of(log_odds: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The bin of each score, int64 [scores]."""
    return np.clip(np.floor(log_odds / STEP) + BINS // 2, 0, BINS - 1).astype(np.int64)


def bin_counts(bins: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Documents (row 0) and bytes (row 1) in each bin, int64 [2, `BINS`]; `sizes` are the documents' bytes."""
    counts = np.zeros((2, BINS), dtype=np.int64)
    np.add.at(counts[0], bins, 1)
    np.add.at(counts[1], bins, sizes)
    return counts


def add_histograms(first: Histogram, second: Histogram) -> Histogram:
    """The sum of two histograms, group by group."""
    zero = np.zeros((2, BINS), dtype=np.int64)
    return {group: first.get(group, zero) + second.get(group, zero) for group in {**first, **second}}


def calibrate(histogram: Mapping[Group, npt.NDArray[np.int64]], max_refused_share: float) -> dict[Group, Calibration]:
    """A calibration for each group, with the highest cut that refuses at most `max_refused_share` of its documents."""
    calibrations = {}
    for group, (documents, _) in sorted(histogram.items()):
        below = np.concatenate([[0], np.cumsum(documents)])
        cut = int(np.searchsorted(below, max_refused_share * below[-1], side="right")) - 1
        quality = (below[:-1] + documents / 2) / max(1, below[-1])
        calibrations[group] = Calibration(min(cut, BINS), quality.astype(np.float32))
    return calibrations
