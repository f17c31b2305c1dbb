"""What MLflow shows about a run and its steps, in a real MLflow on SQLite."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import flyte
import pytest

from components.artifacts import Corpus
from infra.mlflow import tracking
from tests.workflows.stage_suite import run_in
from workflows.recipe import load_recipe
from workflows.steps import tracked
from workflows.steps.inputs import Component
from workflows.steps.labels import Labels
from workflows.steps.run import Run, RunOptions
from workflows.steps.step import obtain, step

pytestmark = pytest.mark.long

environment = flyte.TaskEnvironment(name="tests-tracked")


@dataclass(frozen=True)
class Config:
    """What a step is asked to do."""

    rate: float = 0.5


@step(environment, Corpus)
def training(config: Config, corpus: Corpus | None = None) -> Component:
    """A step with a curve and figures, two of which have the name of a point of the curve or are a breakdown."""

    def train(output: Path, metrics: Any, corpus: Path | None = None) -> Mapping[str, Any]:
        (output / "text").write_text("words")
        for number in (1, 2, 3):
            metrics.log(number, {"loss": 3.0 / number})
        return {"loss": 0.75, "by/code/after": 2.0, "words": 1}

    return train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two steps, the second of which reads the first; and again, with both cached."""
    home = tmp_path_factory.mktemp("home")
    labels = Labels(user="someone", tags={"data": "v2"}, note="with the new filter")
    first = opened(home, labels)
    for run in (first, opened(home, labels)):
        corpus = asyncio.run(obtain(run, training, Config()))
        asyncio.run(obtain(run, training, Config(rate=0.1), corpus=corpus))
    return first


def opened(home: Path, labels: Labels) -> Run:
    run = replace(run_in(home), recipe="tiny", options=RunOptions(labels=labels))
    parent = tracked.start_parent(run.tracking_uri, load_recipe("tiny"), run.journal.name, labels, {})
    return replace(run, mlflow_run=parent)


def runs_of(run: Run, filters: str) -> list[Any]:
    client = tracking.client(run.tracking_uri)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], filters))


def test_the_final_figure_is_not_a_point_of_the_curve_of_the_same_name(run: Run) -> None:
    *_, child = runs_of(run, "tags.step = 'training'")
    history = tracking.client(run.tracking_uri).get_metric_history(child.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert child.data.metrics["final/loss"] == 0.75


def test_each_run_has_the_name_of_its_recipe_and_step(run: Run) -> None:
    assert {child.info.run_name for child in runs_of(run, "tags.step = 'training'")} == {"tiny training"}
    assert tracking.client(run.tracking_uri).get_run(run.mlflow_run).info.run_name == f"tiny {run.journal.name}"


def test_runs_are_found_by_recipe_parameter_figure_and_tag_of_their_parents_also_if_all_was_cached(run: Run) -> None:
    matching = runs_of(
        run,
        "tags.recipe = 'tiny' and tags.data = 'v2' and params.`pretraining.seed` = '0' and metrics.`training/loss` < 1 "
        "and attributes.user_id = 'someone'",
    )
    assert len(matching) == 2
    assert {"by/code/after", "training/by/code/after"}.isdisjoint(matching[0].data.metrics)


def test_a_parent_has_the_users_note_and_name(run: Run) -> None:
    tags = tracking.client(run.tracking_uri).get_run(run.mlflow_run).data.tags
    assert (tags["mlflow.note.content"], tags["mlflow.user"], tags["run"]) == ("with the new filter", "someone", run.journal.name)


def test_what_a_step_reads_and_a_run_makes_are_datasets(run: Run) -> None:
    _, reading = sorted(runs_of(run, "tags.step = 'training'"), key=lambda child: len(child.inputs.dataset_inputs))
    (read,) = reading.inputs.dataset_inputs
    assert read.dataset.name == "corpus"
    made = tracking.client(run.tracking_uri).get_run(run.mlflow_run).inputs.dataset_inputs
    assert read.dataset.digest in {given.dataset.digest for given in made}


@pytest.mark.parametrize(
    ("uris", "folder"),
    [
        (["/data/a/1.txt", "/data/a/12.txt"], "file:///data/a/"),
        (["s3://bucket/a/1", "s3://bucket/b/1"], "s3://bucket/"),
        (["/data/only file"], "file:///data/only%20file"),
        (["python-environment:a/1", "python-environment:b/1"], "python-environment:"),
    ],
)
def test_a_source_is_shown_by_the_folder_of_its_files(uris: list[str], folder: str) -> None:
    assert tracked._folder(uris).rstrip("/") == folder.rstrip("/")
