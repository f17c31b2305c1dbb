"""The description of each rule, the rows that break it, and warnings, which are not failures."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from components.artifacts import CheckReport
from components.checks import rules, suite
from components.checks.suite import Table

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

RULES: list[tuple[Callable[[], "Expectation"], str, list[Any], list[Any]]] = [
    (rules.has_rows, "has rows", [1], []),
    (lambda: rules.no_nulls("c"), "c has no nulls", ["x"], ["x", None]),
    (lambda: rules.no_duplicates("c"), "c has no duplicates", ["x", "y"], ["x", "x"]),
    (lambda: rules.between("c", 1, 3), "c is between 1 and 3", [1, 3], [1, 4]),
    (lambda: rules.between("c", 1_000), "c is at least 1,000", [1_000], [999]),
    (lambda: rules.between("c", None, 0.5), "c is at most 0.5", [0.5, -9.0], [0.6]),
    (lambda: rules.between("c", 0, 0), "c is 0", [0], [1]),
    (lambda: rules.finite("c"), "c is finite", [1e308], [float("inf")]),
    (lambda: rules.median_between("c", 1, 2), "median c is between 1 and 2", [0, 2, 9], [0, 3, 9]),
    (lambda: rules.in_set("c", {"y", "x"}), "c is one of x, y", ["x"], ["x", "z"]),
    (lambda: rules.covers("c", ["y", "x"]), "c includes x, y", ["x", "y", "z"], ["x", "z"]),
    (lambda: rules.holds("c", "every row is right"), "every row is right", [True], [True, False]),
]


def _run(rule: "Expectation", values: list[Any], output: Path) -> CheckReport:
    rows = pd.DataFrame({"name": [str(number) for number in range(len(values))], "c": values})
    return suite.run("fruit", [Table(name="apples", rows=rows, key=("name",), rules=(rule,))], output)


@pytest.mark.parametrize(("make", "sentence", "good", "bad"), RULES, ids=[sentence for _, sentence, _, _ in RULES])
def test_a_rule_says_what_it_asks_for_and_is_broken_by_what_does_not_fit(
    make: Callable[[], "Expectation"], sentence: str, good: list[Any], bad: list[Any], output: Path
) -> None:
    assert _run(make(), good, output).passed
    (broken,) = _run(make(), bad, output).failures
    assert broken.name == f"apples: {sentence}"


def test_a_warning_is_reported_and_no_failure(output: Path) -> None:
    report = _run(rules.between("c", 1, critical=False), [0], output)
    assert report.passed
    assert [expectation.passed for expectation in report.expectations] == [False]


def test_rules_on_whole_columns_are_those_that_need_more_than_a_row() -> None:
    kinds = {sentence: type(make()).__name__ for make, sentence, _, _ in RULES}
    whole = {sentence for sentence, kind in kinds.items() if kind in rules.WHOLE_COLUMN}
    assert whole == {"c has no duplicates", "median c is between 1 and 2", "c includes x, y"}
