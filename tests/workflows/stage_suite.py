"""What every step promises: its variable has its name, its component takes its inputs, and what that needs besides there is."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import Artifact
from components.ports import InProcessLauncher, InProcessShardEngine, Launcher, LocalArtifactStore, ShardEngine
from components.scaling.config import FitConfig
from components.training.config import Choices
from tests.components.ports.store_suite import manifest_of
from workflows.pretraining import Start
from workflows.recipe import load_recipe
from workflows.scaling import PlanRequest
from workflows.steps.inputs import arguments_of, component_of, flat, parameters_of, patterns_of
from workflows.steps.journal import open_journal
from workflows.steps.run import Order, Run
from workflows.steps.work import Work
from workflows.sweeps.sweep import load_sweep
from workflows.sweeps.tasks import LawRequest, PointsRequest, TextLawRequest


class LocalWork(Work):
    """Work in this process, without Ray."""

    @property
    def engine(self) -> ShardEngine:
        """Shard work in this process."""
        return InProcessShardEngine()

    @property
    def launcher(self) -> Launcher:
        """Training in this process."""
        return InProcessLauncher()


def run_in(home: Path) -> Run:
    """A run that keeps everything in `home`, with an MLflow of its own there."""
    journal = open_journal(home / "runs")
    return Run(
        home=str(home), directory=str(journal.directory), tracking_uri=f"sqlite:///{home}/mlflow/mlflow.db", mlflow_run="0"
    )


def work_in(home: Path, step: str = "step") -> LocalWork:
    """The work of a step of such a run."""
    order = Order(step=step, cache_key="key", code_digest="code", run=run_in(home))
    return LocalWork(order, home / "output", "0")


def steps_of(module: types.ModuleType) -> dict[str, Any]:
    """The functions of the steps that a module defines, by the names that it has for them."""
    functions = {name: value.func for name, value in vars(module).items() if hasattr(getattr(value, "func", 0), "facts")}
    return {name: function for name, function in functions.items() if function.__module__ == module.__name__}


def require_inputs_taken(module: types.ModuleType, name: str, home: Path) -> None:
    """Make what a step's component is called with, of artifacts for all its inputs; the component is not called."""
    task = steps_of(module)[name]
    assert task.__name__ == name
    function, work = inspect.unwrap(task), work_in(home, name)
    config, *inputs = parameters_of(function)
    artifacts = {parameter.name: _artifact(parameter.annotation, _stored(home, parameter)) for parameter in inputs}
    example = next(value for value in _configs() if type(value) is config.annotation)
    work.inputs = flat(artifacts)
    component = component_of(function, work, example, artifacts)
    arguments = arguments_of(function, component, work, example, artifacts)
    inspect.signature(component).bind(**arguments)
    together = arguments.pop("inputs", None)
    directories = {field.name: getattr(together, field.name) for field in dataclasses.fields(together)} if together else arguments
    opened = {name: value for name, value in directories.items() if name in artifacts}
    patterns = {parameter.name: patterns_of(parameter.annotation) for parameter in inputs}
    assert opened == {name: work.local(artifacts[name], patterns[name]) for name in opened}


def _stored(home: Path, parameter: inspect.Parameter) -> Artifact:
    """An artifact with a file for each pattern that an input names."""
    store = LocalArtifactStore(home)
    with store.writing("curation") as output:
        for pattern in patterns_of(parameter.annotation) or ("data",):
            path = output / pattern.replace("*", "some")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".parquet":
                pq.write_table(pa.table({}), path)
            else:
                path.write_text("some")
        return store.publish(output, manifest_of(output, key=parameter.name))


def _configs() -> Iterator[Any]:
    """A config of every class that a step has."""
    recipe, ladder = load_recipe("tiny"), load_sweep("tiny-ladder").ladder
    for value in (recipe, recipe.checks):
        yield from (getattr(value, field.name) for field in dataclasses.fields(value))
    yield from (Start(directory="model"), PlanRequest(scaling=recipe.scaling, choices=Choices()), FitConfig(), ladder)
    yield from (PointsRequest(points=(), training=recipe.pretraining), LawRequest(name="law", fit=FitConfig()))
    assert ladder is not None
    yield TextLawRequest(name="law", fit=FitConfig(), ladder=ladder)


def _artifact(hint: Any, stored: Artifact) -> Any:
    """An artifact for an input of that type, or a dictionary with one."""
    if typing.get_origin(hint) in (typing.Annotated, typing.Union, types.UnionType):
        return _artifact(typing.get_args(hint)[0], stored)
    return {"only": _artifact(typing.get_args(hint)[1], stored)} if typing.get_origin(hint) is dict else stored.as_(hint)
