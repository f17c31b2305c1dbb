"""Data that breaks each expectation on a training plan."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.checks.limits import PlanLimits
from components.checks.plan import check

LIMITS = PlanLimits()

BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "plan: tokens is at least 1": ("plan.json", lambda p: p | {"tokens": 0}),
    "plan: batch_size is at least 1": ("plan.json", lambda p: p | {"batch_size": 0}),
    "plan: steps is at least 1": ("plan.json", lambda p: p | {"steps": 0}),
    "plan: sequence_length is between 1 and 4,096": ("plan.json", lambda p: p | {"sequence_length": 8192}),
    "plan: unplanned_tokens is between 0 and 9,437,184": ("plan.json", lambda p: p | {"steps": 211000}),
    "plan: learning_rate is between 1e-09 and 0.01": ("plan.json", lambda p: p | {"learning_rate": 0.1}),
    "plan: init_std is between 1e-09 and 1": ("plan.json", lambda p: p | {"init_std": 0.0}),
    "plan: warmup_share is between 0 and 0.05": ("plan.json", lambda p: p | {"warmup_steps": 20000}),
    "plan: compute is at least 1": ("plan.json", lambda p: p | {"compute": 0.0}),
    "plan: memory_bytes is between 1 and 80,000,000,000": ("plan.json", lambda p: p | {"memory_bytes": 90000000000}),
    "plan: outside the fitted compute range (1e17 to 3e20 FLOPs), the plan notes that the law extrapolates": (
        "plan.json",
        lambda p: p | {"notes": []},
    ),
    "choices: has rows": ("plan", lambda t: t.iloc[:0]),
    "choices: chosen is finite": ("plan", lambda t: t.assign(chosen=float("nan"))),
    "choices: law is finite": ("plan", lambda t: t.assign(law=float("inf"))),
}


def test_a_good_artifact_passes(plan: Path, output: Path) -> None:
    report = check(LIMITS, artifact=plan, output=output)
    assert [expectation.name for expectation in report.expectations if not expectation.passed] == []
    assert report.passed
    assert (output / report.report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_expectation_has_data_that_breaks_it(plan: Path, output: Path) -> None:
    report = check(LIMITS, artifact=plan, output=output)
    assert [expectation.name for expectation in report.expectations] == list(BREAKS)


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_expectation_is_named(broken: str, plan: Path, output: Path, spoil: Any) -> None:
    name, change = BREAKS[broken]
    spoil(plan, name, change)
    report = check(LIMITS, artifact=plan, output=output)
    assert broken in [expectation.name for expectation in report.expectations if not expectation.passed]


def test_a_learning_rate_far_from_a_law_that_was_fitted_is_a_warning(plan: Path, output: Path, spoil: Any) -> None:
    spoil(plan, "plan.json", lambda p: p | {"compute": 1e19, "learning_rate": 4.2e-3, "notes": []})
    report = check(LIMITS, artifact=plan, output=output)
    assert report.passed
    assert [expectation.name for expectation in report.expectations if not expectation.passed] == [
        "plan: law_ratio is between 0.5 and 2"
    ]
