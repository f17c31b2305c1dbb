"""Data that breaks each expectation on an evaluation report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Omissions
from components.checks.evaluation import check
from components.checks.limits import EvaluationLimits
from tests.components.checks.conftest import mostly_omitted

LIMITS = EvaluationLimits()

BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "bits_per_byte: measurement has no duplicates": ("bits_per_byte", lambda t: t.assign(model="base")),
    "bits_per_byte: bits_per_byte is between 0.05 and 16": ("bits_per_byte", lambda t: t.assign(bits_per_byte=float("nan"))),
    "bits_per_byte: documents is at least 20": ("bits_per_byte", lambda t: t.assign(documents=19)),
    "bits_per_byte: document_bytes is at least 1,000": ("bits_per_byte", lambda t: t.assign(bytes=20_000)),
    "bytes: difference is 0": ("bits_per_byte", lambda t: t.assign(bytes=t["bytes"].where(t["model"] != "sft", 59_999))),
    "models: above_unigram is at most 0": (
        "bits_per_byte",
        lambda t: t.assign(bits_per_byte=t["bits_per_byte"].replace(2.0, 5.0)),
    ),
    "tasks: model includes base, dpo, sft": ("tasks", lambda t: t[t["model"] != "sft"]),
    "tasks: value is finite": ("tasks", lambda t: t.assign(value=float("inf"))),
    "tasks: chance is between 0 and 1": ("tasks", lambda t: t.assign(chance=2.0)),
    "tasks: items is at least 50": ("tasks", lambda t: t.assign(items=49)),
    "benchmarks: clean_items is at least 50": ("tasks", lambda t: t.assign(clean_items=t["clean_items"].replace(90, 49))),
    "benchmarks: above_clean is at most 0.05": ("tasks", lambda t: t.assign(value=0.6)),
    "contamination: contaminated items and items not searched for are together at most all items": (
        "contamination",
        lambda t: t.assign(not_searched=95),
    ),
    "contamination: contaminated_share is between 0 and 0.1": ("contamination", lambda t: t.assign(contaminated=11)),
    "alignment: measure includes answer_loss, reward_margin": ("alignment", lambda t: t[t["measure"] != "answer_loss"]),
    "alignment: before is finite": ("alignment", lambda t: t.assign(before=float("nan"))),
    "alignment: after is finite": ("alignment", lambda t: t.assign(after=float("inf"))),
    "alignment: gain is at least 0": ("alignment", lambda t: t.assign(after=t["after"] - 1)),
    "left out: at most 50 % of a source is left out": (Omissions.NAME, mostly_omitted),
}


def test_a_good_artifact_passes(evaluation: Path, output: Path) -> None:
    report = check(LIMITS, artifact=evaluation, output=output)
    assert [expectation.name for expectation in report.expectations if not expectation.passed] == []
    assert report.passed
    assert (output / report.report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_expectation_has_data_that_breaks_it(evaluation: Path, output: Path) -> None:
    report = check(LIMITS, artifact=evaluation, output=output)
    assert [expectation.name for expectation in report.expectations] == list(BREAKS)


@pytest.mark.long
@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_expectation_is_named(broken: str, evaluation: Path, output: Path, spoil: Any) -> None:
    name, change = BREAKS[broken]
    spoil(evaluation, name, change)
    report = check(LIMITS, artifact=evaluation, output=output)
    assert broken in [expectation.name for expectation in report.expectations if not expectation.passed]


def test_a_model_that_was_not_measured_on_a_domain_is_named(evaluation: Path, output: Path, spoil: Any) -> None:
    spoil(evaluation, "bits_per_byte", lambda t: t[(t["model"] != "dpo") | (t["domain"] != "prose")])
    report = check(LIMITS, artifact=evaluation, output=output)
    observed = {expectation.name: expectation.observed for expectation in report.failures}
    assert (
        observed["bits_per_byte: bits_per_byte is between 0.05 and 16"] == "1 of 10 rows have no value: domain prose, model dpo"
    )


@pytest.mark.parametrize(("before", "after", "measure"), [(0.0, 1.5, "answer_loss"), (2.0, 0.0, "reward_margin")])
def test_alignment_that_did_not_help_is_a_warning(
    before: float, after: float, measure: str, evaluation: Path, output: Path, spoil: Any
) -> None:
    def worse(t: Any) -> Any:
        mine = t["measure"] == measure
        return t.assign(before=t["before"].mask(mine, before), after=t["after"].mask(mine, after))

    spoil(evaluation, "alignment", worse)
    report = check(LIMITS, artifact=evaluation, output=output)
    assert report.passed
    observed = {expectation.name: expectation.observed for expectation in report.expectations if not expectation.passed}
    assert list(observed) == ["alignment: gain is at least 0"]
    assert f"measure {measure}" in observed["alignment: gain is at least 0"]


@pytest.mark.parametrize(
    "name", ["benchmarks: above_clean is at most 0.05", "contamination: contaminated_share is between 0 and 0.1"]
)
def test_contamination_is_a_warning(name: str, evaluation: Path, output: Path, spoil: Any) -> None:
    spoil(evaluation, *BREAKS[name])
    report = check(LIMITS, artifact=evaluation, output=output)
    assert (report.passed, [expectation.name for expectation in report.expectations if not expectation.passed]) == (True, [name])


def test_a_benchmark_without_a_clean_item_is_a_warning(evaluation: Path, output: Path, spoil: Any) -> None:
    spoil(evaluation, "tasks", lambda t: t.assign(clean_value=None, clean_items=t["clean_items"].replace(90, 0)))
    report = check(LIMITS, artifact=evaluation, output=output)
    observed = {expectation.name: expectation.observed for expectation in report.expectations if not expectation.passed}
    assert report.passed
    assert observed["benchmarks: above_clean is at most 0.05"] == "1 of 1 rows have no value: metric acc, model dpo, task quiz"


def test_without_benchmarks_there_is_nothing_to_warn_of(evaluation: Path, output: Path, spoil: Any) -> None:
    spoil(evaluation, "tasks", lambda t: t[t["task"] != "quiz"])
    spoil(evaluation, "contamination", lambda t: t[:0])
    assert [
        expectation.name
        for expectation in check(LIMITS, artifact=evaluation, output=output).expectations
        if not expectation.passed
    ] == []


def test_a_model_no_better_than_byte_frequencies_is_a_warning(evaluation: Path, output: Path, spoil: Any) -> None:
    spoil(evaluation, *BREAKS["models: above_unigram is at most 0"])
    assert check(LIMITS, artifact=evaluation, output=output).passed
