"""Checks from one factory: each has its own code, and one of a stage from outside stops a run as all do."""

import asyncio
import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Artifact, Check, Corpus
from components.checks.limits import CorpusLimits, PlanLimits
from components.errors import CheckFailed
from components.ports import LocalArtifactStore
from infra import caching
from infra.mlflow import tracking
from tests.components.ports.store_suite import manifest_of
from tests.workflows import summary
from tests.workflows.stage_suite import run_in
from workflows import alignment, curation, evaluation, pretraining, scaling, tokenizer
from workflows.steps.checks import check
from workflows.steps.run import Run
from workflows.steps.stages import STAGES

STAGE_MODULES = (curation, tokenizer, scaling, pretraining, alignment, evaluation)
TEMPLATE = (
    "from components.checks import shared\n\n\ndef check(limits, *, artifact, output):\n    return shared.report({number})\n"
)


def all_checks() -> dict[str, Any]:
    """The functions of the checks of all stages, by their variables."""
    return {name: getattr(module, name).func for module in STAGE_MODULES for name in vars(module) if name.startswith("check_")}


def test_every_check_of_the_stages_is_named_like_its_variable_and_its_step() -> None:
    steps = [step for steps in STAGES.values() for step in steps if step.startswith("check_")]
    assert {name: function.__name__ for name, function in all_checks().items()} == {step: step for step in steps}


def test_a_check_reaches_its_own_module_and_no_other_check() -> None:
    for name, function in all_checks().items():
        (module,) = function.reaches
        others = {other for check in all_checks().values() for other in check.reaches} - {module}
        reached = {path.removesuffix(".py").replace("/", ".") for path in caching.reachable(function)}
        assert module in reached, name
        assert not others & reached, name


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A tree with two checks and what both use."""
    directory = tmp_path / "components" / "checks"
    directory.mkdir(parents=True)
    for number, name in enumerate(("corpus", "plan")):
        (directory / f"{name}.py").write_text(TEMPLATE.format(number=number))
    (directory / "shared.py").write_text("def report(number):\n    return number\n")
    yield tmp_path
    caching._module.cache_clear()


def keys(root: Path) -> list[str]:
    caching._module.cache_clear()
    checks = (
        check("components.checks.corpus", CorpusLimits, Corpus),
        check("components.checks.plan", PlanLimits, Artifact),
    )
    return [caching.code_key(task.func, root) for task in checks]


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("corpus", "report(0)", "report(2)", [True, False]),
        ("plan", "report(1)", "report(2)", [False, True]),
        ("shared", "return number", "return -number", [True, True]),
        ("corpus", "import shared\n", "import shared  # a reason\n", [False, False]),
    ],
)
def test_a_changed_module_changes_the_key_of_its_check_alone(
    root: Path, name: str, old: str, new: str, changed: list[bool]
) -> None:
    before, path = keys(root), root / "components" / "checks" / f"{name}.py"
    assert len(set(before)) == 2
    path.write_text(path.read_text().replace(old, new))
    assert [key != former for key, former in zip(keys(root), before, strict=True)] == changed


def test_two_checks_of_one_module_with_other_inputs_have_names_of_their_own() -> None:
    plain = check("components.checks.plan", PlanLimits, Artifact, name="check_plain")
    compared = check("components.checks.plan", PlanLimits, Artifact, corpus=Corpus)
    assert [task.func.__name__ for task in (plain, compared)] == ["check_plain", "check_plan"]
    assert [list(inspect.signature(task.func).parameters)[2:] for task in (plain, compared)] == [
        ["artifact"],
        ["artifact", "corpus"],
    ]


# The stage of tests/workflows/summary.py, which no file of the project knows.


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = run_in(tmp_path)
    return replace(run, mlflow_run=tracking.start_run(run.tracking_uri, "run"))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    store = LocalArtifactStore(tmp_path)
    with store.writing("curation") as output:
        (output / "text").write_text("some words")
        return store.publish(output, manifest_of(output)).as_(Corpus)


def passed(run: Run, corpus: Corpus, limits: summary.SummaryLimits) -> list[Artifact]:
    async def through() -> list[Artifact]:
        return [artifact async for artifact in summary.chain(run, corpus, summary.SummaryConfig(), limits)]

    return asyncio.run(through())


@pytest.mark.long
def test_a_stage_from_outside_is_made_recorded_checked_and_reused(run: Run, corpus: Corpus) -> None:
    made, verdict = passed(run, corpus, summary.SummaryLimits())
    assert (type(made), type(verdict)) == (summary.Summary, Check)
    manifest = run.store.manifest(made.uri)
    assert (manifest.step, manifest.kind, [record.path for record in manifest.files]) == ("summary", "Summary", ["summary.json"])
    assert manifest.config == {"type": "SummaryConfig", "unit": "characters"}
    assert {name: artifact.digest for name, artifact in manifest.inputs.items()} == {"corpus": corpus.digest}
    (report,) = run.store.manifest(verdict.uri).checks
    assert (report.name, report.passed) == ("summary", True)
    assert run.store.manifest(verdict.uri).inputs == {"artifact": made.as_(Artifact)}
    assert passed(run, corpus, summary.SummaryLimits()) == [made, verdict]
    assert [event["event"] for event in run.journal.events()] == ["started", "made", "started", "made", "cached", "cached"]


@pytest.mark.long
def test_its_failed_check_stops_the_chain_and_names_what_was_seen(run: Run, corpus: Corpus) -> None:
    with pytest.raises(CheckFailed, match="check summary failed: length: observed 10"):
        passed(run, corpus, summary.SummaryLimits(min_length=11))
