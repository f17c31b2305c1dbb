"""Validating tables: descriptions, severity, rules that cannot be evaluated, reproducible pages, and no connections."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from components.artifacts import CheckReport
from components.checks import suite
from components.checks.reading import BatchedTable
from components.checks.rules import between, covers, finite, median_between, no_duplicates, no_nulls
from components.checks.suite import Table


def _run(output: Path, rows: pd.DataFrame, *rules: object) -> CheckReport:
    return suite.run("fruit", [Table(name="apples", rows=rows, key=("name",), rules=rules)], output)  # type: ignore[arg-type]


ROWS = pd.DataFrame({"name": ["a", "b", "c", "d", "e"], "weight": [1.0, 2.0, 3.0, 4.0, None], "kind": ["x", "x", "y", "y", "y"]})


def test_what_was_observed_is_said_in_words(output: Path) -> None:
    rules = (
        no_nulls("name"),
        between("weight", 3, 9),
        finite("weight"),
        covers("kind", ["x", "y"]),
        covers("kind", ["z"]),
        median_between("weight", 0, 1),
    )
    assert [expectation.observed for expectation in _run(output, ROWS, *rules).expectations] == [
        "5 rows",
        "2 of 5 rows: name a, weight 1; name b, weight 2",
        "1 of 5 rows have no value: name e",
        "all present",
        "missing: z",
        "2.5",
    ]


def test_a_rule_that_holds_shows_the_range_of_its_column(output: Path) -> None:
    assert _run(output, ROWS.head(4), between("weight", 0, 9)).expectations[0].observed == "1 to 4"


def test_a_rule_of_a_whole_column_is_not_asked_of_batches(output: Path) -> None:
    table = Table(name="apples", rows=BatchedTable(output, "apples", ("name",)), key=("name",), rules=(no_duplicates("name"),))
    with pytest.raises(AssertionError, match="apples is read in batches"):
        suite.run("fruit", [table], output)


def test_only_the_first_rows_are_named(output: Path) -> None:
    observed = _run(output, ROWS.head(4), between("weight", 9)).expectations[0].observed
    assert observed == "4 of 4 rows: name a, weight 1; name b, weight 2; name c, weight 3; …"


def test_a_row_without_a_value_breaks_every_rule_on_values(output: Path) -> None:
    assert not _run(output, ROWS, between("weight", 0, 9)).passed


def test_an_infinite_value_is_not_finite(output: Path) -> None:
    assert not _run(output, ROWS.head(4).assign(weight=float("inf")), finite("weight")).passed
    assert not _run(output, ROWS.head(4).assign(weight=float("-inf")), finite("weight")).passed


def test_a_missing_column_fails_its_rule_and_no_other(output: Path) -> None:
    report = _run(output, ROWS, no_nulls("colour"), no_nulls("name"))
    assert [expectation.passed for expectation in report.expectations] == [False, True]
    assert report.expectations[0].observed.startswith("could not be evaluated: ")
    assert "colour" in report.expectations[0].observed


def test_a_broken_warning_does_not_fail_the_check(output: Path) -> None:
    report = _run(output, ROWS, no_nulls("weight", critical=False))
    assert report.passed
    assert not report.expectations[0].passed


def test_the_page_is_the_one_that_the_report_names_and_shows_what_was_observed(output: Path) -> None:
    report = _run(output, ROWS.head(2), between("weight", 2))
    assert report.report == "fruit.html"
    assert "1 of 2 rows: name a, weight 1" in (output / report.report).read_text(encoding="utf-8")


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        _run(tmp_path / name, ROWS, between("weight", 2), covers("kind", ["z"]))
        pages.append((tmp_path / name / "fruit.html").read_bytes())
    assert pages[0] == pages[1]


ALONE = """
import pathlib, sys
events = []
sys.addaudithook(lambda event, args: events.append(f"{event} {args}") if event.startswith("socket.") else None)
import pandas
from components.checks import suite
from components.checks.reading import BatchedTable
from components.checks.rules import no_nulls
table = suite.Table(name="apples", rows=pandas.DataFrame({"name": ["a"]}), key=("name",), rules=(no_nulls("name"),))
output = pathlib.Path(sys.argv[1])
assert suite.run("fruit", [table], output).passed
asked = [event for event in events if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.sendto"))]
assert not asked, asked
assert "posthog" not in sys.modules
"""


@pytest.mark.long
def test_a_check_opens_no_connection_and_leaves_nothing_but_its_page(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "temporary").mkdir()
    # Without the variables that switch telemetry off, so that only the check's own settings can do so.
    environment = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", ALONE, str(tmp_path / "output")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ""
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["fruit.html"]


def test_the_switch_for_usage_statistics_is_off() -> None:
    assert suite._context().config.analytics_enabled is False


@pytest.mark.parametrize("name", ["rules", "limits", "reading", "documents", "suite", "page", "corpus", "training"])
def test_importing_a_module_of_the_checks_loads_neither_great_expectations_nor_pandas(name: str) -> None:
    code = (
        f"import sys, components.checks.{name}; print(sorted({{'great_expectations', 'pandas', 'pyarrow'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
