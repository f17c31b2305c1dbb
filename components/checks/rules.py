"""The rules that checks are made of: Great Expectations' expectations on a column, each with a description for the report.

A row without a value breaks every rule about values; see `components.checks.suite`. A rule whose limit a recipe sets names the
fields of that limit, such as `min_median_bytes`, so that reports can say which field to change.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

Fields = tuple[str, ...]
"""Names of the fields of a check's limits that set the limit of a rule."""

WHOLE_COLUMN = frozenset(
    {"ExpectColumnValuesToBeUnique", "ExpectColumnMedianToBeBetween", "ExpectColumnDistinctValuesToContainSet"}
)
"""Expectations about a whole column, which cannot be evaluated batch by batch."""


def has_rows() -> "Expectation":
    """The table is not empty. An empty table would pass every rule about values."""
    return _expectation("ExpectTableRowCountToBeBetween", "has rows", True, min_value=1)


def no_nulls(column: str, *, critical: bool = True) -> "Expectation":
    """Every row has a value; NaN counts as missing."""
    return _expectation("ExpectColumnValuesToNotBeNull", f"{column} has no nulls", critical, column=column)


def no_duplicates(column: str, *, critical: bool = True) -> "Expectation":
    """No value occurs twice."""
    return _expectation("ExpectColumnValuesToBeUnique", f"{column} has no duplicates", critical, column=column)


def between(
    column: str, low: float | None = None, high: float | None = None, *, critical: bool = True, fields: Fields = ()
) -> "Expectation":
    """Every value is between `low` and `high`, both included; None means no limit on that side."""
    sentence = f"{column} is {_bounds(low, high)}"
    values = {"column": column, "min_value": low, "max_value": high}
    return _expectation("ExpectColumnValuesToBeBetween", sentence, critical, fields, **values)


def finite(column: str, *, critical: bool = True) -> "Expectation":
    """Every value is a finite number."""
    low, high = -sys.float_info.max, sys.float_info.max
    sentence = f"{column} is finite"
    return _expectation("ExpectColumnValuesToBeBetween", sentence, critical, column=column, min_value=low, max_value=high)


def median_between(column: str, low: float, high: float, *, critical: bool = True, fields: Fields = ()) -> "Expectation":
    """The median is between `low` and `high`, both included."""
    sentence = f"median {column} is {_bounds(low, high)}"
    values = {"column": column, "min_value": low, "max_value": high}
    return _expectation("ExpectColumnMedianToBeBetween", sentence, critical, fields, **values)


def in_set(column: str, allowed: Iterable[str], *, critical: bool = True) -> "Expectation":
    """Every value is one of `allowed`."""
    values = sorted(allowed)
    return _expectation(
        "ExpectColumnValuesToBeInSet", f"{column} is one of {', '.join(values)}", critical, column=column, value_set=values
    )


def covers(column: str, values: Iterable[str], *, critical: bool = True, fields: Fields = ()) -> "Expectation":
    """Each of `values` occurs in the column."""
    wanted = sorted(values)
    sentence = f"{column} includes {', '.join(wanted)}"
    return _expectation("ExpectColumnDistinctValuesToContainSet", sentence, critical, fields, column=column, value_set=wanted)


def holds(column: str, sentence: str, *, critical: bool = True, fields: Fields = ()) -> "Expectation":
    """The boolean `column` is true in every row; `sentence` says in the report what that means."""
    return _expectation("ExpectColumnValuesToBeInSet", sentence, critical, fields, column=column, value_set=[True])


def _expectation(kind: str, sentence: str, critical: bool, fields: Fields = (), **arguments: Any) -> "Expectation":
    import great_expectations.expectations as expectations

    made: Expectation = getattr(expectations, kind)(
        description=sentence, severity="critical" if critical else "warning", meta={"fields": list(fields)}, **arguments
    )
    return made


def _bounds(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at least {_number(low)}"
    if low is None:
        return f"at most {_number(high)}"
    return _number(low) if low == high else f"between {_number(low)} and {_number(high)}"


def _number(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
