"""The chain's order and wiring, with steps that make nothing."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from components.artifacts import Artifact
from components.curation.config import Source
from tests.workflows.stage_suite import run_in
from workflows import pipeline, pretraining, registration, scaling
from workflows.recipe import Recipe, load_recipe
from workflows.steps.run import Run
from workflows.steps.stages import ENDS, STAGES, last_end, last_stage

OPTIONAL = {"start", "verdict"}
"""Steps of continued pretraining, and of a plan whose law predicts a loss."""

Steps = dict[str, dict[str, Any]]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """The inputs of each step that the chain obtains, in order; an artifact is named by its step."""
    inputs_of: Steps = {}

    async def obtain(run: Run, task: Any, config: Any, **inputs: Any) -> Any:
        name = task.func.__name__
        inputs_of[name] = inputs
        return get_type_hints(task.func)["return"](uri=name, digest=name)

    async def checked(run: Run, task: Any, limits: Any, artifact: Artifact, **others: Any) -> Any:
        return await obtain(run, task, limits, artifact=artifact, **others)

    for module in (pipeline, pretraining, scaling):
        monkeypatch.setattr(module, "obtain", obtain)
    monkeypatch.setattr(pipeline, "checked", checked)
    monkeypatch.setattr(scaling, "obtain_verdicts", _none)
    monkeypatch.setattr(registration, "enter_registry", lambda run, config, model: inputs_of.update(enter_registry=config.name))
    return inputs_of


async def _none(*_: Any) -> dict[str, Any]:
    return {}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Recipe tiny on one small file, which is quickly looked at."""
    tiny, path = load_recipe("tiny"), tmp_path_factory.mktemp("mine") / "mine.jsonl"
    path.write_text("{}\n")
    sources = (Source(uri=str(path), domain="mine", weight=1.0),)
    conversations = replace(tiny.conversations, distributions=(), sources=(str(path),))
    return replace(tiny, curation=replace(tiny.curation, sources=sources), conversations=conversations)


async def stages(recipe: Recipe, run: Run) -> list[tuple[str, str]]:
    return [(stage, artifact.uri) async for stage, artifact in pipeline.chain(recipe, run)]


def test_the_chain_goes_through_all_stages_in_order_and_does_all_their_steps(
    steps: Steps, recipe: Recipe, tmp_path: Path
) -> None:
    passed = asyncio.run(stages(recipe, run_in(tmp_path)))
    assert [name for name, _ in passed if name not in ENDS] == list(STAGES)
    assert {name: artifact for name, artifact in passed if name in ENDS} == {name: name for name in ENDS}
    expected = [step for group in STAGES.values() for step in group if step not in OPTIONAL]
    assert [step for step in steps if step != "enter_registry"] == expected
    assert all(artifact in STAGES[last_stage(name)] for name, artifact in passed)


@pytest.mark.parametrize("until", [*STAGES, *ENDS])
def test_a_run_ends_after_its_last_stage_or_step_and_the_check_of_that(
    until: str, steps: Steps, recipe: Recipe, tmp_path: Path
) -> None:
    run = run_in(tmp_path)
    last = asyncio.run(pipeline.last_artifact(recipe, replace(run, options=replace(run.options, until=until))))
    made = [step for step in steps if step != "enter_registry"]
    order = [step for group in STAGES.values() for step in group if step not in OPTIONAL]
    assert made == order[: len(made)]
    assert last_end(made[-1]) == until
    assert last.uri in made


def test_each_model_comes_from_the_one_before_and_all_three_are_evaluated(steps: Steps, recipe: Recipe, tmp_path: Path) -> None:
    asyncio.run(stages(recipe, run_in(tmp_path)))
    assert [steps[step]["checkpoint"].uri for step in ("sft", "preference_pairs", "dpo", "registration")] == [
        "pretraining",
        "sft",
        "sft",
        "dpo",
    ]
    evaluated = steps["evaluation"]["checkpoints"]
    assert {name: model.uri for name, model in evaluated.items()} == {"base": "pretraining", "sft": "sft", "dpo": "dpo"}


def test_the_registered_model_has_every_check_as_its_evidence(steps: Steps, recipe: Recipe, tmp_path: Path) -> None:
    asyncio.run(stages(recipe, run_in(tmp_path)))
    checks: dict[str, Artifact] = steps["registration"]["checks"]
    assert {check.uri for check in checks.values()} == {step for step in steps if step.startswith("check_")}
    assert steps["enter_registry"] == "tiny"  # type: ignore[comparison-overlap]
