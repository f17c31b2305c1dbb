"""Validates tables against rules with Great Expectations and describes what was observed.

Great Expectations 1.24.1 sends no usage statistics (its client and its dependency on posthog were removed); a test verifies that
a check opens no connection. Great Expectations ignores rows without a value in every rule except "no nulls"; here such rows break
the rule, so that a NaN cannot pass a limit.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import CheckReport, Expectation
from components.checks.distribution import ColumnValues
from components.checks.page import ValueChart, render
from components.checks.reading import BatchedTable
from components.checks.rules import WHOLE_COLUMN

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.expectations.expectation import Expectation as Rule

SHOWN = 3
"""Rows listed for a broken rule: enough to find the cause, while the description stays one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows with the rules that they must satisfy."""

    name: str
    """Starts the name of each expectation in the report."""
    rows: "pd.DataFrame | BatchedTable"
    """A `BatchedTable` is validated batch by batch and may not have rules about whole columns (`WHOLE_COLUMN`)."""
    key: tuple[str, ...]
    """Columns that identify a row in the report."""
    rules: tuple["Rule", ...]
    """Made by the functions of `components.checks.rules`."""
    every_row: bool = False
    """Whether the report shows the value of every row; for small tables that readers want to see whole."""


def run(name: str, tables: Sequence[Table], output: Path) -> CheckReport:
    """Validate the tables in order, write `output/NAME.html` and return the report; `checks.NAME` are its limits in a recipe.

    Equal tables and rules give equal bytes.
    """
    source = _context().data_sources.add_pandas(name)
    judged = {table.name: _judge(name, table, source.add_dataframe_asset(table.name)) for table in tables}
    expectations = tuple(rule.expectation() for rules in judged.values() for rule in rules)
    report = CheckReport(name=name, expectations=expectations, report=f"{name}.html")
    charts = [rule.chart() for rules in judged.values() for rule in rules]
    html = render(report, {table: rules[0].rows for table, rules in judged.items()}, charts)
    (output / report.report).write_text(html, encoding="utf-8")
    return report


def _context() -> "EphemeralDataContext":
    """An in-memory context that writes no files and sends no usage statistics."""
    from great_expectations import get_context
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=base.ProgressBarsConfig(globally=False),
    )
    return get_context(mode="ephemeral", project_config=config)


def _judge(check: str, table: Table, asset: Any) -> "list[_Judged]":
    from great_expectations import ExpectationSuite

    batched = isinstance(table.rows, BatchedTable)
    assert not batched or not WHOLE_COLUMN & {type(rule).__name__ for rule in table.rules}, f"{table.name} is read in batches"
    definition = asset.add_batch_definition_whole_dataframe("all")
    judged = [_Judged(check, table, rule) for rule in table.rules]
    numbered = [rule.copy(update={"meta": {"rule": number}}) for number, rule in enumerate(table.rules)]
    result_format = {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": list(table.key),
        "partial_unexpected_count": SHOWN,
    }
    for rows in _not_empty(table.rows) if batched else (table.rows,):
        suite = ExpectationSuite(name=table.name, expectations=numbered)
        outcome = definition.get_batch({"dataframe": rows}).validate(suite, result_format=result_format)
        for result in outcome.results:  # not in the order of the rules: rules that raised an exception come first
            judged[result.expectation_config.meta["rule"]].add(rows, result)
    return judged


def _not_empty(table: BatchedTable) -> "Iterator[pd.DataFrame]":
    """The batches that have rows, or one empty batch if none has: an empty batch would break the rule "has rows"."""
    rows = 0
    for batch in table:
        rows += len(batch)
        if len(batch):
            yield batch
    if not rows:
        yield batch


@dataclass
class _Judged:
    """The outcome of a rule, accumulated batch by batch."""

    check: str
    """Name of the check, and of its limits in a recipe."""
    table: Table
    rule: "Rule"
    passed: bool = True
    rows: int = 0
    broken: int = 0
    missing: int = 0
    counterexamples: list[Mapping[str, Any]] = field(default_factory=list)
    """The first rows that break the rule: the columns of the table's key and the value."""
    empty: list[Mapping[str, Any]] = field(default_factory=list)
    """The first rows that have no value: the columns of the table's key."""
    bounds: list[Any] = field(default_factory=list)
    """Lowest and highest value of each batch, if the values are numbers."""
    words: str = ""
    """Description of what was observed, for a rule about the whole column and a rule that could not be evaluated."""
    values: list[str] = field(default_factory=list)
    """The value of every row, if `Table.every_row` is set."""
    distribution: ColumnValues = field(default_factory=ColumnValues)

    def add(self, rows: "pd.DataFrame", result: "ExpectationValidationResult") -> None:
        """Add the result for the next batch."""
        observed, column = result.result, self.rule.configuration.kwargs.get("column")
        self.rows += len(rows)
        self.passed &= bool(result.success) and not observed.get("missing_count")
        if not observed:
            self.words = f"could not be evaluated: {_reason(result.exception_info)}"
        elif column and "element_count" not in observed:
            self.words = _aggregate(observed)
            self.distribution.add(rows[column])
        elif column:
            self._add_values(rows, rows[column], observed)

    def _add_values(self, rows: "pd.DataFrame", column: "pd.Series[Any]", observed: Mapping[str, Any]) -> None:
        self.distribution.add(column)
        self.broken += observed["unexpected_count"]
        self.missing += observed.get("missing_count", 0)
        self.counterexamples += observed["partial_unexpected_index_list"] or ()
        if observed.get("missing_count"):
            self.empty += rows.loc[column.isna(), list(self.table.key)].head(SHOWN).to_dict("records")
        if self.table.every_row:
            self.values += [f"{' '.join(map(str, key))} {_words(value)}" for key, value in _by_key(rows, self.table.key, column)]
        if column.dtype.kind in "iuf" and len(column):
            self.bounds += [column.min(), column.max()]

    def chart(self) -> ValueChart:
        """The distribution of the column, with the limits of the rule."""
        kwargs = self.rule.configuration.kwargs
        limits = [kwargs[name] for name in ("min_value", "max_value") if kwargs.get(name) is not None]
        return ValueChart(bars=self.distribution.bars(), limits=[limit for limit in limits if abs(limit) < sys.float_info.max])

    def expectation(self) -> Expectation:
        """The entry of the report."""
        return Expectation(
            name=f"{self.table.name}: {self.rule.description}",
            observed=self._observed(),
            passed=self.passed,
            critical=self.rule.severity.value == "critical",
            field=" and ".join(f"checks.{self.check}.{name}" for name in (self.rule.meta or {}).get("fields", ())),
        )

    def _observed(self) -> str:
        rows = f"{self.rows:,} rows"
        if self.words:
            return self.words
        if self.broken:
            return f"{self.broken:,} of {rows}: {_some(self.counterexamples, self.broken)}"
        if self.missing:
            return f"{self.missing:,} of {rows} have no value: {_some(self.empty, self.missing)}"
        if self.values:
            return "; ".join(self.values)
        return _range(self.bounds) if self.bounds else rows


def _by_key(rows: "pd.DataFrame", key: Sequence[str], column: "pd.Series[Any]") -> Iterator[tuple[tuple[Any, ...], Any]]:
    return zip(rows[list(key)].itertuples(index=False, name=None), column, strict=True)


def _aggregate(values: Mapping[str, Any]) -> str:
    """What was observed of a whole column: its median, for example, or which of the required values are missing."""
    if missing := values.get("partial_missing_list"):
        return f"missing: {', '.join(_words(value) for value in missing)}"
    return "all present" if "missing_count" in values else _words(values["observed_value"])


def _range(bounds: Sequence[Any]) -> str:
    low, high = _words(min(bounds)), _words(max(bounds))
    return low if low == high else f"{low} to {high}"


def _some(rows: Sequence[Mapping[str, Any]], number: int) -> str:
    """The first `SHOWN` of `number` rows, each with its key and its value."""
    return "; ".join(_row(row) for row in rows[:SHOWN]) + ("; …" if number > SHOWN else "")


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{column} {_words(value)}" for column, value in sorted(row.items()))


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return "no value"
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool):
        return str(plain).lower()
    return f"{plain:.6g}" if isinstance(plain, float) else f"{plain:,}" if isinstance(plain, int) else str(plain)


def _reason(exception_info: Mapping[str, Any]) -> str:
    """The first line of the first exception's message; `exception_info` is one exception, or exceptions by metric."""
    exception = exception_info if "exception_message" in exception_info else next(iter(exception_info.values()))
    return str(exception["exception_message"]).splitlines()[0]
