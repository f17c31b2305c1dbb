"""Checks between stages: Great Expectations suites on the metrics tables that each stage writes.

Each module's `check(limits, artifact=…, output=…)` returns a `CheckReport` and writes it as one HTML page. To write a check for
your own recipe, import `Table` and the rules from this package.
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
