"""The distribution of the values behind an expectation, as the bars of a chart, in bounded memory."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

BARS = 40
"""Bars of a histogram."""

MAX_CATEGORIES = 12
"""Maximum distinct values that are shown as a bar each. A text column with more, such as ids, has no chart."""

PER_BATCH = 2_000
"""Numbers kept of each batch: its quantiles, which keep its shape."""

LOGARITHMIC = 1_000
"""Ratio of the largest to the smallest value from which a histogram of positive numbers has logarithmic bars."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """One bar of a chart."""

    label: str
    """A value, or the range of values that it counts."""
    low: float | None
    """Lower end of the range; None for a value that is not a number."""
    high: float | None
    rows: int
    """Number of rows, rounded for a column that was read in several batches."""


@dataclass
class ColumnValues:
    """The values of a column, added batch by batch."""

    numbers: "list[npt.NDArray[np.float64]]" = field(default_factory=list)
    weights: "list[npt.NDArray[np.float64]]" = field(default_factory=list)
    """Rows that each number stands for."""
    categories: "Counter[str]" = field(default_factory=Counter)

    def add(self, column: "pd.Series[Any]") -> None:
        """Add the values of the next batch; rows without a value or with an infinite one are left out."""
        import numpy as np

        if column.dtype.kind not in "iuf":
            if len(self.categories) <= MAX_CATEGORIES:
                self.categories.update(str(value) for value in column.dropna())
            return
        values = column.to_numpy(np.float64)
        values = values[np.isfinite(values)]
        kept = np.quantile(values, np.linspace(0, 1, PER_BATCH)) if len(values) > PER_BATCH else values
        self.numbers.append(kept)
        self.weights.append(np.full(len(kept), len(values) / max(len(kept), 1)))

    def bars(self) -> list[Bin]:
        """The bars from left to right; none if there are no values, or too many different texts."""
        import numpy as np

        numbers = np.concatenate([np.empty(0), *self.numbers])
        if len(numbers):
            return _histogram(numbers, np.concatenate(self.weights))
        if len(self.categories) > MAX_CATEGORIES:
            return []
        return [Bin(label=label, low=None, high=None, rows=rows) for label, rows in sorted(self.categories.items())]


def _histogram(numbers: "npt.NDArray[np.float64]", weights: "npt.NDArray[np.float64]") -> list[Bin]:
    import numpy as np

    distinct, positions = np.unique(numbers, return_inverse=True)
    if len(distinct) <= MAX_CATEGORIES:
        rows = np.bincount(positions, weights)
        return [
            Bin(label=f"{value:,.6g}", low=float(value), high=float(value), rows=round(count))
            for value, count in zip(distinct, rows, strict=True)
        ]
    low, high = distinct[0], distinct[-1]
    spaced = np.geomspace if low > 0 and high / low >= LOGARITHMIC else np.linspace
    ends = spaced(low, high, BARS + 1)
    ends[0], ends[-1] = low, high
    rows, _ = np.histogram(numbers, ends, weights=weights)
    return [
        Bin(label=f"{start:,.6g} to {end:,.6g}", low=float(start), high=float(end), rows=round(count))
        for start, end, count in zip(ends[:-1], ends[1:], rows, strict=True)
    ]
