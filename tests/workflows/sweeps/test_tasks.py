"""The order and wiring of a sweep, with steps that make nothing; tests/end_to_end/test_sweep.py trains one."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from flyte.types import TypeEngine

from components.artifacts import (
    Artifact,
    JsonFile,
    Mixture,
    Plan,
    SweepPoint,
    SweepRuns,
    Tokenizer,
    TokenShards,
    TrainingState,
)
from components.curation.config import Source
from components.scaling.config import FitConfig
from components.scaling.laws.text_law import SCALE, TextLaw
from components.tokenizer import special_tokens
from tests.components.artifacts.samples import domain_tokens, index_of
from tests.components.ports.store_suite import manifest_of
from tests.components.scaling.text_truth import LAW, SMALL, tables, vocabulary
from tests.workflows.stage_suite import require_inputs_taken, run_in, steps_of
from workflows.recipe import from_json, to_json
from workflows.steps.run import Branch, Order, Run, RunOptions
from workflows.steps.values import value_of
from workflows.sweeps import tasks
from workflows.sweeps.sweep import Sweep, load_sweep

Steps = dict[str, dict[str, Any]]

DATA = ["curation", "check_corpus", "tokenizer", "token_shards", "check_token_shards"]
OUTCOME = ["extrapolation", "check_plan", "pretraining", "check_pretraining", "verdict"]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """The inputs of each step that a sweep obtains, in order; an artifact is named by its step."""
    inputs_of: Steps = {}

    async def obtain(run: Any, task: Any, config: Any, **inputs: Any) -> Any:
        inputs_of[task.func.__name__] = inputs
        return get_type_hints(task.func)["return"](uri=task.func.__name__, digest="")

    async def sweep_points(config: tasks.PointsRequest, run: Any, token_shards: Artifact) -> dict[str, SweepPoint]:
        return {name: SweepPoint(uri=name, digest="") for name in config.requests()}

    async def checked(run: Any, task: Any, limits: Any, artifact: Artifact, **others: Any) -> Any:
        return await obtain(run, task, limits, artifact=artifact, **others)

    monkeypatch.setattr(tasks, "obtain", obtain)
    monkeypatch.setattr(tasks, "checked", checked)
    monkeypatch.setattr(tasks, "sweep_points", sweep_points)
    return inputs_of


@pytest.mark.parametrize("step", steps_of(tasks))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(tasks, step, tmp_path)


def small(name: str, directory: Path) -> Sweep:
    """A built-in sweep on one small file, which is quickly looked at."""
    (directory / "mine.txt").write_text("words")
    sources = (Source(uri=str(directory / "mine.txt"), domain="mine", weight=1.0),)
    sweep = load_sweep(name)
    return replace(sweep, curation=replace(sweep.curation, sources=sources))


def swept(sweep: Sweep, home: Path) -> Artifact:
    artifact: Artifact = asyncio.run(tasks.sweep.func(sweep, run_in(home)))
    return artifact


def test_a_ladder_with_a_target_ends_with_the_verdict_on_the_training_that_its_law_planned(tmp_path: Path, steps: Steps) -> None:
    sweep = small("tiny-ladder", tmp_path)
    assert swept(sweep, tmp_path).uri == "verdict"
    assert list(steps) == [*DATA, "sweep_runs", "scaling_law", *OUTCOME]
    assert sweep.ladder is not None
    assert len(steps["sweep_runs"]["points"]) == len(sweep.ladder.points())
    assert steps["extrapolation"]["law"].uri == "scaling_law"
    assert {name: artifact.uri for name, artifact in steps["pretraining"].items()} == {
        "plan": "extrapolation",
        "tokenizer": "tokenizer",
        "token_shards": "token_shards",
    }
    assert {name: artifact.uri for name, artifact in steps["verdict"].items()} == {
        "plan": "extrapolation",
        "checkpoint": "pretraining",
    }


def test_a_ladder_without_a_target_ends_with_its_law(tmp_path: Path, steps: Steps) -> None:
    sweep = small("tiny-ladder", tmp_path)
    assert sweep.ladder is not None
    assert swept(replace(sweep, ladder=replace(sweep.ladder, target=None)), tmp_path).uri == "scaling_law"
    assert list(steps) == [*DATA, "sweep_runs", "scaling_law"]
    assert steps["scaling_law"]["bases"] == {}


def test_a_grid_alone_is_the_law_and_beside_a_ladder_its_base(tmp_path: Path, steps: Steps) -> None:
    grid, ladder = small("tiny-grid", tmp_path), load_sweep("tiny-ladder").ladder
    assert swept(grid, tmp_path).uri == "hyper_parameter_law"
    assert list(steps) == [*DATA, "sweep_runs", "hyper_parameter_law"]
    swept(replace(grid, ladder=ladder), tmp_path)
    assert {name: law.uri for name, law in steps["scaling_law"]["bases"].items()} == {"grid": "hyper_parameter_law"}


def test_a_ladder_in_several_vocabularies_ends_with_the_verdict_on_the_vocabulary_that_the_law_prefers(
    tmp_path: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "value_of", lambda store, artifact, kind: preferring(320, over=512))
    sweep, ladders = small("tiny-text", tmp_path), list[int]()
    original = tasks.extrapolation

    async def obtain(run: Any, task: Any, config: Any, **inputs: Any) -> Any:
        if task is original:
            ladders.append(config.family.vocab_size)
        return await steps_obtain(run, task, config, **inputs)

    steps_obtain = tasks.obtain
    monkeypatch.setattr(tasks, "obtain", obtain)
    assert swept(sweep, tmp_path).uri == "verdict"
    assert list(steps) == [*DATA, "sweep_runs", "text_law", *OUTCOME]
    assert list(steps["text_law"]["runs"]) == ["320", "512"]
    assert steps["extrapolation"]["law"].uri == "text_law"
    assert ladders == [320]


def test_a_ladder_in_several_vocabularies_takes_batch_and_rate_from_its_grid(tmp_path: Path, steps: Steps) -> None:
    sweep, grid = small("tiny-text", tmp_path), load_sweep("tiny-grid").grid
    assert sweep.ladder is not None
    both = replace(sweep, grid=grid, ladder=replace(sweep.ladder, target=None))
    assert swept(both, tmp_path).uri == "text_law"
    assert {name: law.uri for name, law in steps["text_law"]["bases"].items()} == {"grid": "hyper_parameter_law"}


def preferring(preferred: int, *, over: int) -> TextLaw:
    """A law by which one vocabulary ends with fewer bits per byte than another, whatever the budget."""
    sizes = {preferred: 1.0, over: 2.0}
    return replace(LAW, vocabularies=tuple(vocabulary(size, 50 * sizes[size], 400 * sizes[size], 2.0) for size in sorted(sizes)))


@pytest.mark.long
def test_the_target_is_planned_by_the_law_of_the_text_that_the_step_before_has_fitted(tmp_path: Path) -> None:
    run = run_in(tmp_path)

    def published(step: str, *values: JsonFile, files: tuple[Path, ...] = ()) -> Artifact:
        with run.store.writing(step) as output:
            for value in values:
                value.write(output)
            for file in files:
                shutil.copy(file, output)
            return run.store.publish(output, manifest_of(output, step=step, key=str(files)))

    def made(task: Any, config: Any, **inputs: Any) -> Any:
        order = Order(step=task.func.__name__, cache_key="key", code_digest="code", run=run)
        return asyncio.run(task.func(order, config, **inputs))

    runs = {
        size: published("sweep_runs", files=(directory / "runs.csv",)).as_(SweepRuns)
        for size, directory in tables(tmp_path / "tables").items()
    }
    fit = FitConfig(scale=SCALE, rounds=100)
    law = made(tasks.text_law, tasks.TextLawRequest(name="mine", fit=fit, ladder=SMALL), runs=runs, bases={})
    text = value_of(run.store, law, TextLaw)
    tokenizer = published("tokenizer", special_tokens.after(1000, 1024)).as_(Tokenizer)
    index = index_of({"code": domain_tokens(10**12)})
    mixture = Mixture(shares={"code": 1.0}, epoch_limits={"code": 4.0})
    shards = published("token_shards", index, mixture).as_(TokenShards)
    planned = made(tasks.extrapolation, SMALL.in_vocabulary(1024), law=law, tokenizer=tokenizer, token_shards=shards)
    plan = value_of(run.store, planned, Plan)
    assert plan.prediction == text.predict(plan.shape, plan.tokens, plan.sequence_length)


def test_a_training_is_named_by_its_number_and_keeps_how_it_is_done() -> None:
    sweep = load_sweep("tiny-grid")
    assert sweep.grid is not None
    requests = tasks.PointsRequest(points=sweep.grid.points(), training=sweep.pretraining).requests()
    assert list(requests)[:2] == ["0000", "0001"]
    assert [request.point for request in requests.values()] == list(sweep.grid.points())
    assert {request.training for request in requests.values()} == {sweep.pretraining}


@pytest.mark.parametrize("name", ["tiny-ladder", "tiny-grid", "tiny-text"])
def test_a_sweep_travels_to_a_cluster_and_its_values_from_task_to_task(name: str) -> None:
    sweep = load_sweep(name)
    assert from_json(to_json(sweep), Sweep) == sweep
    points = (sweep.ladder or sweep.grid).points()  # type: ignore[union-attr]
    state = TrainingState(uri="state", digest="d", content="c")
    options = RunOptions(branch=Branch(run="parent", state=state))
    values: list[tuple[Any, Any]] = [
        (tasks.PointsRequest(points=points, training=sweep.pretraining), tasks.PointsRequest),
        ({"0000": SweepPoint(uri="a", digest="d", content="c")}, dict[str, SweepPoint]),
        (Run(home="/h", directory="/h/runs/r", tracking_uri="", mlflow_run="", options=options), Run),
    ]

    async def handed_on(value: Any, kind: Any) -> Any:
        literal = await TypeEngine.to_literal(value, kind, TypeEngine.to_literal_type(kind))
        return await TypeEngine.to_python_value(literal, kind)

    assert [asyncio.run(handed_on(value, kind)) for value, kind in values] == [value for value, _ in values]
