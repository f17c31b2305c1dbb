"""The bars behind an expectation count every value once, whatever the batches."""

import numpy as np
import pandas as pd
import pytest

from components.checks.distribution import BARS, MAX_CATEGORIES, Bin, ColumnValues


def of(*batches: "pd.Series[float] | pd.Series[str] | pd.Series[bool]") -> list[Bin]:
    distribution = ColumnValues()
    for batch in batches:
        distribution.add(batch)
    return distribution.bars()


def test_few_distinct_numbers_have_a_bar_each() -> None:
    assert [(bar.label, bar.rows) for bar in of(pd.Series([3, 1, 3]), pd.Series([1, 3]))] == [("1", 2), ("3", 3)]


def test_many_numbers_become_a_histogram_that_counts_all_rows() -> None:
    values = pd.Series(np.random.default_rng(0).normal(size=50_000))
    bars = of(values[:30_000], values[30_000:])
    assert len(bars) == BARS
    assert sum(bar.rows for bar in bars) == pytest.approx(50_000, abs=BARS)
    expected, _ = np.histogram(values, [bar.low for bar in bars] + [bars[-1].high])
    assert np.abs(np.array([bar.rows for bar in bars]) - expected).max() < 500


def test_positive_numbers_over_several_orders_of_magnitude_have_bars_of_equal_ratio() -> None:
    bars = of(pd.Series(np.geomspace(1, 1e6, 500)))
    ratios = {round(bar.high / bar.low, 6) for bar in bars if bar.low and bar.high}
    assert len(ratios) == 1


def test_texts_and_truth_values_are_counted() -> None:
    assert [(bar.label, bar.rows) for bar in of(pd.Series(["b", "a", "b", None]))] == [("a", 1), ("b", 2)]
    assert [(bar.label, bar.rows) for bar in of(pd.Series([True, False, True]))] == [("False", 1), ("True", 2)]


def test_missing_and_infinite_values_are_left_out() -> None:
    assert [bar.rows for bar in of(pd.Series([1.0, float("nan"), float("inf")]))] == [1]
    assert of(pd.Series([float("nan")])) == []


def test_a_column_of_ids_has_no_chart() -> None:
    assert of(pd.Series([f"id-{number}" for number in range(MAX_CATEGORIES + 1)])) == []
