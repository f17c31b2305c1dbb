"""Runs rules over tables with Great Expectations and reports in words what was observed.

Great Expectations 1.24.1 sends no usage statistics (its client and its dependency on posthog were removed); a test
watches that a check opens no connection. It ignores rows without a value in every rule but "no nulls"; here they
break the rule, so that a NaN cannot slip through a bound.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import CheckReport, Expectation
from components.checks.page import render
from components.checks.reading import BatchedTable
from components.checks.rules import WHOLE_COLUMN

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.expectations.expectation import Expectation as Rule

SHOWN = 3
"""Rows named in the words of a broken rule: enough to find the cause, and it stays one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows and what is expected of them."""

    name: str
    rows: "pd.DataFrame | BatchedTable"
    """A batched table is judged batch by batch, and has no rules on whole columns (`WHOLE_COLUMN`)."""
    key: tuple[str, ...]
    """Columns that name a row to the reader of the report."""
    rules: tuple["Rule", ...]
    """From `components.checks.rules`."""
    every_row: bool = False
    """Show the value of every row, for tables of a few dozen rows that readers want to see."""


def run(name: str, tables: Sequence[Table], output: Path) -> CheckReport:
    """Validate the tables in order and write `output/NAME.html`, the same bytes for the same tables and rules."""
    source = _context().data_sources.add_pandas(name)
    judged = {table.name: _judge(table, source.add_dataframe_asset(table.name)) for table in tables}
    expectations = tuple(rule.expectation() for rules in judged.values() for rule in rules)
    report = CheckReport(name=name, expectations=expectations, report=f"{name}.html")
    html = render(report, {table: rules[0].rows for table, rules in judged.items()})
    (output / report.report).write_text(html, encoding="utf-8")
    return report


def _context() -> "EphemeralDataContext":
    """A context that is kept in memory, writes no file and reports no usage."""
    from great_expectations import get_context
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=base.ProgressBarsConfig(globally=False),
    )
    return get_context(mode="ephemeral", project_config=config)


def _judge(table: Table, asset: Any) -> "list[_Judged]":
    from great_expectations import ExpectationSuite

    batched = isinstance(table.rows, BatchedTable)
    assert not batched or not WHOLE_COLUMN & {type(rule).__name__ for rule in table.rules}, f"{table.name} is read in batches"
    definition = asset.add_batch_definition_whole_dataframe("all")
    judged = [_Judged(table, rule) for rule in table.rules]
    numbered = [rule.copy(update={"meta": {"rule": number}}) for number, rule in enumerate(table.rules)]
    result_format = {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": list(table.key),
        "partial_unexpected_count": SHOWN,
    }
    for rows in _not_empty(table.rows) if batched else (table.rows,):
        suite = ExpectationSuite(name=table.name, expectations=numbered)
        outcome = definition.get_batch({"dataframe": rows}).validate(suite, result_format=result_format)
        for result in outcome.results:  # those that raised come first
            judged[result.expectation_config.meta["rule"]].add(rows, result)
    return judged


def _not_empty(table: BatchedTable) -> "Iterator[pd.DataFrame]":
    """The batches that have rows, or an empty one if none has any: a table has rows where one of its batches has."""
    rows = 0
    for batch in table:
        rows += len(batch)
        if len(batch):
            yield batch
    if not rows:
        yield batch


@dataclass
class _Judged:
    """The outcome of a rule, batch by batch."""

    table: Table
    rule: "Rule"
    passed: bool = True
    rows: int = 0
    broken: int = 0
    missing: int = 0
    counterexamples: list[Mapping[str, Any]] = field(default_factory=list)
    """The first rows that break it, by the table's key and the value in question."""
    empty: list[Mapping[str, Any]] = field(default_factory=list)
    """The first rows that have no value, by the table's key."""
    bounds: list[Any] = field(default_factory=list)
    """Lowest and highest value of each batch, if they are numbers."""
    words: str = ""
    """What was observed, for a rule that is not about values of rows, or could not be evaluated."""
    values: list[str] = field(default_factory=list)
    """The value of every row, where the table shows all of them."""

    def add(self, rows: "pd.DataFrame", result: "ExpectationValidationResult") -> None:
        """Add the result for the next batch."""
        observed, column = result.result, self.rule.configuration.kwargs.get("column")
        self.rows += len(rows)
        self.passed &= bool(result.success) and not observed.get("missing_count")
        if not observed:
            self.words = f"could not be evaluated: {_reason(result.exception_info)}"
        elif column and "element_count" not in observed:
            self.words = _aggregate(observed)
        elif column:
            self._add_values(rows, rows[column], observed)

    def _add_values(self, rows: "pd.DataFrame", column: "pd.Series[Any]", observed: Mapping[str, Any]) -> None:
        self.broken += observed["unexpected_count"]
        self.missing += observed.get("missing_count", 0)
        self.counterexamples += observed["partial_unexpected_index_list"] or ()
        if observed.get("missing_count"):
            self.empty += rows.loc[column.isna(), list(self.table.key)].head(SHOWN).to_dict("records")
        if self.table.every_row:
            self.values += [f"{' '.join(map(str, key))} {_words(value)}" for key, value in _by_key(rows, self.table.key, column)]
        if column.dtype.kind in "iuf" and len(column):
            self.bounds += [column.min(), column.max()]

    def expectation(self) -> Expectation:
        """What is reported of it."""
        return Expectation(
            name=f"{self.table.name}: {self.rule.description}",
            observed=self._observed(),
            passed=self.passed,
            critical=self.rule.severity.value == "critical",
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
    """Of a whole column: its figure, or what a set of values lacks."""
    if missing := values.get("partial_missing_list"):
        return f"lacks {', '.join(_words(value) for value in missing)}"
    return "all of them" if "missing_count" in values else _words(values["observed_value"])


def _range(bounds: Sequence[Any]) -> str:
    low, high = _words(min(bounds)), _words(max(bounds))
    return low if low == high else f"{low} to {high}"


def _some(rows: Sequence[Mapping[str, Any]], number: int) -> str:
    """The first of `number` rows, by their key and the value in question."""
    return "; ".join(_row(row) for row in rows[:SHOWN]) + ("; …" if number > SHOWN else "")


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{column} {_words(value)}" for column, value in sorted(row.items()))


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return "nothing"
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool):
        return str(plain).lower()
    return f"{plain:.6g}" if isinstance(plain, float) else f"{plain:,}" if isinstance(plain, int) else str(plain)


def _reason(exception_info: Mapping[str, Any]) -> str:
    """The message of the first exception: Great Expectations keys them by metric, or holds one unkeyed."""
    exception = exception_info if "exception_message" in exception_info else next(iter(exception_info.values()))
    return str(exception["exception_message"]).splitlines()[0]
