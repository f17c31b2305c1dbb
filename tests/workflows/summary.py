"""A stage from outside: one config, one component function, one line in a chain; and its check."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from components.artifacts import Artifact, Check, CheckReport, Corpus, Expectation
from infra.flyte import environments
from workflows.steps.checks import check as check_by
from workflows.steps.inputs import Component, only
from workflows.steps.run import Run
from workflows.steps.step import checked, obtain, step


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary(Artifact):
    """What is in a corpus, in a line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryConfig:
    """How a corpus is summed up."""

    unit: str = "characters"


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryLimits:
    """What a summary may say."""

    min_length: int = 1


def summarise(config: SummaryConfig, *, corpus: Path, output: Path) -> dict[str, Any]:
    """Write the length of a corpus."""
    length = len((corpus / "text").read_text())
    (output / "summary.json").write_text(json.dumps({"length": length, "unit": config.unit}))
    return {"length": length}


def check(limits: SummaryLimits, *, artifact: Path, output: Path) -> CheckReport:
    """Check that a corpus is not too short."""
    length = json.loads((artifact / "summary.json").read_text())["length"]
    (output / "summary.html").write_text("<p>A page.")
    long_enough = Expectation(name="length", observed=str(length), passed=length >= limits.min_length)
    return CheckReport(name="summary", expectations=(long_enough,), report="summary.html")


@step(environments.cpu, Summary)
def summary(config: SummaryConfig, corpus: Annotated[Corpus, only("text")]) -> Component:
    """Sum up a corpus."""
    return summarise


check_summary = check_by(__name__, SummaryLimits, Summary)


async def chain(run: Run, corpus: Corpus, config: SummaryConfig, limits: SummaryLimits) -> AsyncIterator[Summary | Check]:
    """The stage in a chain."""
    made = await obtain(run, summary, config, corpus=corpus)
    yield made
    yield await checked(run, check_summary, limits, made)
