"""Tables about the splits: enough rows in both splits, and no group in both."""

from pathlib import Path

import pandas as pd

from components.artifacts import CheckReport
from components.checks import splits, suite
from components.checks.suite import Table

ROWS = pd.DataFrame(
    {
        "kind": ["a", "a", "a", "b", "b"],
        "split": ["train", "train", "validation", "train", "validation"],
        "group": ["g", "g", "h", "i", "j"],
    }
)


def _run(table: Table, output: Path) -> CheckReport:
    return suite.run("fruit", [table], output)


def test_values_are_counted_by_split(output: Path) -> None:
    rows = splits.counts(ROWS, (), "kind", 1, "min_pairs_per_split").rows
    assert isinstance(rows, pd.DataFrame)
    assert rows.to_dict("records") == [{"kind": "a", "train": 2, "validation": 1}, {"kind": "b", "train": 1, "validation": 1}]
    report = _run(splits.counts(ROWS, (), "kind", 2, "min_pairs_per_split"), output)
    assert [e.observed for e in report.failures] == [
        "1 of 2 rows: kind b, train 1",
        "2 of 2 rows: kind a, validation 1; kind b, validation 1",
    ]


def test_a_name_without_rows_is_counted_too(output: Path) -> None:
    report = _run(splits.counts(ROWS, ("a", "c"), "kind", 1, "min_pairs_per_split"), output)
    assert {e.field for e in report.failures} == {"checks.fruit.min_pairs_per_split"}
    assert [e.observed for e in report.failures] == ["1 of 3 rows: kind c, train 0", "1 of 3 rows: kind c, validation 0"]


def test_a_group_in_both_splits_is_named(output: Path) -> None:
    assert _run(splits.groups(ROWS), output).passed
    (broken,) = _run(splits.groups(ROWS.assign(group=ROWS["group"].replace("h", "g"))), output).failures
    assert broken.observed == "1 of 3 rows: group g, splits 2"
