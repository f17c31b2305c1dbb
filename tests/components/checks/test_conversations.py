"""Data that breaks each expectation on conversations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Omissions
from components.checks.conversations import check
from components.checks.limits import ConversationsLimits
from tests.components.checks.conftest import mostly_omitted

LIMITS = ConversationsLimits(min_conversations_per_split=10)

BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "conversations: has rows": ("conversations", lambda t: t.iloc[:0]),
    "conversations: id has no nulls": ("conversations", lambda t: t.assign(id=t["id"].where(t.index > 0))),
    "conversations: id has no duplicates": ("conversations", lambda t: t.assign(id=t["id"].replace(t["id"][0], t["id"][1]))),
    "conversations: source has no nulls": ("conversations", lambda t: t.assign(source=t["source"].where(t.index > 0))),
    "conversations: group has no nulls": ("conversations", lambda t: t.assign(group=t["group"].where(t.index > 0))),
    "conversations: split is one of train, validation": ("conversations", lambda t: t.assign(split="test")),
    "conversations: messages is at least 2": ("conversations", lambda t: t.assign(messages=1)),
    "conversations: prompt_characters is between 1 and 100,000": ("conversations", lambda t: t.assign(prompt_characters=0)),
    "conversations: answer_characters is between 1 and 100,000": ("conversations", lambda t: t.assign(answer_characters=100_001)),
    "conversations: median answer_characters is between 10 and 8,000": ("conversations", lambda t: t.assign(answer_characters=9)),
    "counts: train is at least 10": ("conversations", lambda t: t.assign(split="validation")),
    "counts: validation is at least 10": ("conversations", lambda t: t.assign(split="train")),
    "groups: splits is 1": ("conversations", lambda t: t.assign(group="g0")),
    "left out: at most 50 % of a source is left out": (Omissions.NAME, mostly_omitted),
}


@pytest.mark.long
def test_a_good_artifact_passes(conversations: Path, output: Path) -> None:
    report = check(LIMITS, artifact=conversations, output=output)
    assert [expectation.name for expectation in report.expectations if not expectation.passed] == []
    assert report.passed
    assert (output / report.report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_expectation_has_data_that_breaks_it(conversations: Path, output: Path) -> None:
    report = check(LIMITS, artifact=conversations, output=output)
    assert [expectation.name for expectation in report.expectations] == list(BREAKS)


@pytest.mark.long
@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_expectation_is_named(broken: str, conversations: Path, output: Path, spoil: Any) -> None:
    name, change = BREAKS[broken]
    spoil(conversations, name, change)
    report = check(LIMITS, artifact=conversations, output=output)
    assert broken in [expectation.name for expectation in report.expectations if not expectation.passed]
