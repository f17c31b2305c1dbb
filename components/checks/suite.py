"""Runs rules over tables with Great Expectations and says in words what was observed.

Great Expectations 1.24.1 sends no usage statistics (its client and its dependency on posthog are gone); a test
watches that a check opens no connection. It ignores rows without a value in every rule but "no nulls"; here they
break the rule, so that a NaN cannot slip through a bound.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import CheckReport, Expectation
from components.checks.page import render

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
    rows: "pd.DataFrame"
    key: tuple[str, ...]
    """Columns that name a row to the reader of the report."""
    rules: tuple["Rule", ...]
    """From `components.checks.rules`."""
    every_row: bool = False
    """Say the value of every row, for tables of a few dozen rows that readers want to see."""


def run(name: str, tables: Sequence[Table], output: Path) -> CheckReport:
    """Validate the tables in order and write `output/NAME.html`, the same bytes for the same tables and rules."""
    source = _context().data_sources.add_pandas(name)
    expectations: list[Expectation] = []
    for table in tables:
        batches = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("all")
        expectations += _validate(table, batches.get_batch({"dataframe": table.rows}))
    report = CheckReport(name=name, expectations=tuple(expectations), report=f"{name}.html")
    html = render(report, {table.name: len(table.rows) for table in tables})
    (output / report.report).write_text(html, encoding="utf-8")
    return report


def _context() -> "EphemeralDataContext":
    """A context that lives in memory, writes nothing and tells nobody."""
    from great_expectations import get_context
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=base.ProgressBarsConfig(globally=False),
    )
    return get_context(mode="ephemeral", project_config=config)


def _validate(table: Table, batch: Any) -> list[Expectation]:
    from great_expectations import ExpectationSuite

    numbered = [rule.copy(update={"meta": {"rule": number}}) for number, rule in enumerate(table.rules)]
    outcome = batch.validate(
        ExpectationSuite(name=table.name, expectations=numbered),
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": list(table.key),
            "partial_unexpected_count": SHOWN,
        },
    )
    # Rules that raised come first in the results, so the order is restored by number.
    results = sorted(outcome.results, key=lambda result: result.expectation_config.meta["rule"])
    return [_expectation(table, rule, result) for rule, result in zip(table.rules, results, strict=True)]


def _expectation(table: Table, rule: "Rule", result: "ExpectationValidationResult") -> Expectation:
    return Expectation(
        name=f"{table.name}: {rule.description}",
        observed=_observed(table, rule, result),
        passed=bool(result.success) and not result.result.get("missing_count"),
        critical=rule.severity.value == "critical",
    )


def _observed(table: Table, rule: "Rule", result: "ExpectationValidationResult") -> str:
    values = result.result
    if not values:
        return f"could not be evaluated: {_reason(result.exception_info)}"
    if "element_count" not in values:
        return _aggregate(values)
    rows, column = f"{values['element_count']:,} rows", table.rows[rule.configuration.kwargs["column"]]
    if broken := values["unexpected_count"]:
        return f"{broken:,} of {rows}: {_some(values['partial_unexpected_index_list'], broken)}"
    if missing := values.get("missing_count"):
        without = table.rows.loc[column.isna(), list(table.key)].head(SHOWN).to_dict("records")
        return f"{missing:,} of {rows} have no value: {_some(without, missing)}"
    if table.every_row:
        return "; ".join(f"{' '.join(map(str, key))} {_words(value)}" for key, value in _by_key(table, column))
    return _range(column) if column.dtype.kind in "iuf" and len(column) else rows


def _by_key(table: Table, column: "pd.Series[Any]") -> Iterator[tuple[tuple[Any, ...], Any]]:
    return zip(table.rows[list(table.key)].itertuples(index=False, name=None), column, strict=True)


def _aggregate(values: Mapping[str, Any]) -> str:
    """Of a whole column or table: its figure, or what a set of values lacks."""
    if missing := values.get("partial_missing_list"):
        return f"lacks {', '.join(_words(value) for value in missing)}"
    return "all of them" if "missing_count" in values else _words(values["observed_value"])


def _range(column: "pd.Series[Any]") -> str:
    low, high = _words(column.min()), _words(column.max())
    return low if low == high else f"{low} to {high}"


def _some(rows: Sequence[Mapping[str, Any]], number: int) -> str:
    """The first of `number` rows, by their key and the value in question."""
    return "; ".join(_row(row) for row in rows) + ("; …" if number > SHOWN else "")


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
    found = exception_info if "exception_message" in exception_info else next(iter(exception_info.values()))
    return str(found["exception_message"]).splitlines()[0]
