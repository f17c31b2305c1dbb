"""The steps of scaling, what a plan is made from, and when there is a verdict on it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Artifact, Checkpoint, JsonFile, ModelShape, Plan, TrainingPlan
from components.ports import LocalArtifactStore
from components.pretraining.config import PretrainingConfig
from components.scaling.config import ScalingConfig
from components.training.config import TrainingConfig
from tests.components.artifacts.samples import PLAN
from tests.components.ports.store_suite import fill, manifest_of
from tests.workflows.stage_suite import require_inputs_taken, run_in, steps_of
from workflows import scaling

SHAPE = ModelShape(n_layer=2, d_model=16, n_head=2, n_kv_head=2, d_ffn=32, vocab_size=64, context=32)


@pytest.mark.parametrize("step", steps_of(scaling))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(scaling, step, tmp_path)


def published(home: Path, *values: JsonFile) -> Artifact:
    store = LocalArtifactStore(home)
    with store.writing("curation") as output:
        fill(output, "text")
        for value in values:
            value.write(output)
        return store.publish(output, manifest_of(output))


@pytest.fixture
def obtained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configs that steps were asked for by."""
    configs: list[Any] = []

    async def obtain(run: Any, task: Any, config: Any, **options: Any) -> str:
        configs.append(config)
        return "the verdict"

    monkeypatch.setattr(scaling, "obtain", obtain)
    return configs


@pytest.mark.parametrize(("precision", "planned"), [("fp32", "fp32"), ("auto", "bf16"), ("bf16", "bf16")])
def test_a_plan_takes_what_pretraining_has_decided(tmp_path: Path, obtained: list[Any], precision: str, planned: str) -> None:
    config = PretrainingConfig(
        shape=SHAPE, tokens=1000, learning_rate=1e-3, training=TrainingConfig(precision=precision, workers=3)
    )
    asyncio.run(scaling.obtain_plan(run_in(tmp_path), ScalingConfig(compute=None), config, None))
    (choices,) = [request.choices for request in obtained]
    assert (choices.shape, choices.tokens, choices.learning_rate, choices.training) == (SHAPE, 1000, 1e-3, config.training)
    assert choices.training.planned_precision == planned


def test_a_plan_is_made_from_the_checkpoint_where_pretraining_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    async def obtain(run: Any, task: Any, config: Any, **inputs: Any) -> str:
        given.append(inputs["start"])
        return "the plan"

    monkeypatch.setattr(scaling, "obtain", obtain)
    start = published(tmp_path).as_(Checkpoint)
    asyncio.run(scaling.obtain_plan(run_in(tmp_path), ScalingConfig(compute=None), PretrainingConfig(), start))
    assert given == [start]


@pytest.mark.parametrize(("plan", "verdicts"), [(replace(PLAN, prediction=None), {}), (PLAN, {"pretraining": "the verdict"})])
def test_there_is_a_verdict_where_the_law_predicts_a_loss(
    tmp_path: Path, obtained: list[Any], plan: Plan, verdicts: dict[str, str]
) -> None:
    artifact = published(tmp_path, plan).as_(TrainingPlan)
    assert asyncio.run(scaling.obtain_verdicts(run_in(tmp_path), artifact, artifact.as_(Checkpoint))) == verdicts
