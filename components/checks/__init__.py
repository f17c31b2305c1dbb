"""Checks between stages: Great Expectations suites on the metrics tables that each stage leaves behind.

`check(limits, artifact=…, output=…)` of each module returns a `CheckReport` and writes the same as one HTML page. What a check of
a recipe's own is made of is imported from here.
"""

from components.checks.reading import metrics_table
from components.checks.rules import between, covers, finite, has_rows, holds, in_set, median_between, no_duplicates, no_nulls
from components.checks.suite import Table

__all__ = [
    "Table",
    "between",
    "covers",
    "finite",
    "has_rows",
    "holds",
    "in_set",
    "median_between",
    "metrics_table",
    "no_duplicates",
    "no_nulls",
]
