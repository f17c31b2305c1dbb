"""Data that breaks each expectation on preference pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Omissions
from components.checks.limits import PreferencePairsLimits
from components.checks.preference_pairs import check
from tests.components.checks.conftest import mostly_omitted

LIMITS = PreferencePairsLimits(min_pairs_per_split=5)

BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "pairs: has rows": ("preference_pairs", lambda t: t.iloc[:0]),
    "pairs: id has no nulls": ("preference_pairs", lambda t: t.assign(id=t["id"].where(t.index > 0))),
    "pairs: id has no duplicates": ("preference_pairs", lambda t: t.assign(id=t["id"].replace(t["id"][0], t["id"][1]))),
    "pairs: group has no nulls": ("preference_pairs", lambda t: t.assign(group=t["group"].where(t.index > 0))),
    "pairs: split is one of train, validation": ("preference_pairs", lambda t: t.assign(split="test")),
    "pairs: kind is one of author-vs-sample, right-vs-other, user": ("preference_pairs", lambda t: t.assign(kind="guess")),
    "pairs: prompt_characters is at least 1": ("preference_pairs", lambda t: t.assign(prompt_characters=0)),
    "pairs: chosen_characters is at least 1": ("preference_pairs", lambda t: t.assign(chosen_characters=0)),
    "pairs: rejected_characters is at least 1": ("preference_pairs", lambda t: t.assign(rejected_characters=0)),
    "kinds: equal_length_share is between 0 and 0.2": (
        "preference_pairs",
        lambda t: t.assign(rejected_characters=t["chosen_characters"]),
    ),
    "kinds: length_ratio is between 0.2 and 5": ("preference_pairs", lambda t: t.assign(chosen_characters=900)),
    "counts: train is at least 5": ("preference_pairs", lambda t: t.assign(split="validation")),
    "counts: validation is at least 5": ("preference_pairs", lambda t: t.assign(split="train")),
    "groups: splits is 1": ("preference_pairs", lambda t: t.assign(group="g0")),
    "left out: at most 50 % of a source is left out": (
        Omissions.NAME,
        mostly_omitted,
    ),
}


def test_a_good_artifact_passes(preference_pairs: Path, output: Path) -> None:
    report = check(LIMITS, artifact=preference_pairs, output=output)
    assert [expectation.name for expectation in report.expectations if not expectation.passed] == []
    assert report.passed
    assert (output / report.report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_expectation_has_data_that_breaks_it(preference_pairs: Path, output: Path) -> None:
    report = check(LIMITS, artifact=preference_pairs, output=output)
    assert [expectation.name for expectation in report.expectations] == list(BREAKS)


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_expectation_is_named(broken: str, preference_pairs: Path, output: Path, spoil: Any) -> None:
    name, change = BREAKS[broken]
    spoil(preference_pairs, name, change)
    report = check(LIMITS, artifact=preference_pairs, output=output)
    assert broken in [expectation.name for expectation in report.expectations if not expectation.passed]


def test_a_kind_that_is_missing_on_one_side_is_named(preference_pairs: Path, output: Path, spoil: Any) -> None:
    held_out = lambda t: t[(t["split"] == "train") | (t["kind"] == "right-vs-other")]  # noqa: E731
    spoil(preference_pairs, "preference_pairs", held_out)
    report = check(LIMITS, artifact=preference_pairs, output=output)
    assert [(expectation.name, expectation.observed) for expectation in report.failures] == [
        ("counts: validation is at least 5", "1 of 2 rows: kind author-vs-sample, validation 0")
    ]


def test_lengths_that_give_the_answer_away_are_a_warning(preference_pairs: Path, output: Path, spoil: Any) -> None:
    spoil(preference_pairs, *BREAKS["kinds: length_ratio is between 0.2 and 5"])
    assert check(LIMITS, artifact=preference_pairs, output=output).passed
