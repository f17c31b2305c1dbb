"""The page of a check lists failures first, escapes everything and loads nothing."""

import re

import pytest

from components.artifacts import CheckReport, Expectation
from components.checks.distribution import Bin
from components.checks.page import ValueChart, render

REPORT = CheckReport(
    name="fruit",
    expectations=(
        Expectation(name="apples: name has no nulls", observed="2 rows", passed=True),
        Expectation(name="apples: colour is finite", observed="<b>", passed=False, critical=False),
        Expectation(
            name="apples: weight is at least 2",
            observed="1 of 2 rows: name a, weight 1",
            passed=False,
            field="checks.fruit.min_weight",
        ),
    ),
)

EMPTY = ValueChart(bars=(), limits=())
WEIGHTS = ValueChart(
    bars=(Bin(label="1 to 2", low=1.0, high=2.0, rows=10), Bin(label="2 to 4", low=2.0, high=4.0, rows=40)), limits=(3.0, 9.0)
)


@pytest.fixture(scope="module")
def page() -> str:
    """The page of `REPORT`, whose table has 1 000 rows."""
    return render(REPORT, {"apples": 1_000, "pears": 2}, [EMPTY, EMPTY, WEIGHTS])


def test_broken_expectations_come_first_and_critical_ones_before_warnings(page: str) -> None:
    outcomes = re.findall(r'<tr><td class="(\w+)">\1</td><td>apples: (\w+)', page)
    assert outcomes == [("failed", "weight"), ("warning", "colour"), ("passed", "name")]


def test_the_summary_counts_expectations_and_rows(page: str) -> None:
    text = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert "Check of fruit: failed 3 expectations: 1 failed, 1 warnings. Rows checked: apples 1,000, pears 2." in text
    assert ">passed</span></h1>" in render(
        CheckReport(name="fruit", expectations=REPORT.expectations[:2]), {"apples": 1}, [EMPTY, EMPTY]
    )


def test_what_was_observed_is_escaped(page: str) -> None:
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_the_page_needs_no_network(page: str) -> None:
    assert not [word for word in ("http", "//", "<script", "src=", "href=") if word in page]


def test_the_distribution_of_a_column_is_drawn_with_the_limit_inside_it(page: str) -> None:
    assert page.count("<svg") == 1
    assert re.findall(r'height="([\d.]+)"><title>(.*?)</title></rect>', page) == [
        ("15.0", "1 to 2: 10 rows"),
        ("60.0", "2 to 4: 40 rows"),
    ]
    assert re.findall(r'<line x1="([\d.]+)"', page) == ["180.0"]
    assert '<div class="ends"><span>1</span><span>4</span></div>' in page
    assert ValueChart(bars=WEIGHTS.bars[:1], limits=()).shapes == []


def test_the_field_that_sets_a_limit_is_shown(page: str) -> None:
    assert "<code>checks.fruit.min_weight</code>" in page
