"""What every step of a stage promises: its artifact is of the kind that it returns, and its manifest names all its inputs."""

import asyncio
import inspect
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Artifact
from components.ports import LocalArtifactStore
from tests.components.ports.store_suite import publish
from workflows.steps.journal import open_journal
from workflows.steps.step import Order, Run


def run_in(home: Path) -> Run:
    """A run that keeps everything in `home`, with an MLflow of its own there."""
    journal = open_journal(home / "runs")
    return Run(
        home=str(home), directory=str(journal.directory), tracking_uri=f"sqlite:///{home}/mlflow/mlflow.db", mlflow_run="0"
    )


def steps_of(module: types.ModuleType) -> dict[str, Any]:
    """The functions of the steps that a module defines, by name: of the tasks whose first parameter is an `Order`."""
    functions = {
        name: value.func for name, value in vars(module).items() if inspect.iscoroutinefunction(getattr(value, "func", 0))
    }
    return {
        name: function
        for name, function in functions.items()
        if function.__module__ == module.__name__ and next(iter(inspect.signature(function).parameters)) == "order"
    }


class Made(Exception):
    """Ends a step where it would call its component."""

    def __init__(self, kind: type[Artifact], inputs: Mapping[str, Any]) -> None:
        super().__init__(kind, inputs)
        self.kind, self.inputs = kind, inputs


def require_inputs_recorded(module: types.ModuleType, name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a step with artifacts for all its inputs, up to where it would call its component."""

    def make(order: Order, kind: type[Artifact], config: Any, component: Any, **inputs: Any) -> None:
        raise Made(kind, inputs)

    function = steps_of(module)[name]
    monkeypatch.setattr(sys.modules[function.__module__], "make", make)
    stored = publish(LocalArtifactStore(home))
    hints = typing.get_type_hints(function)
    kinds = {parameter: hints[parameter] for parameter in list(inspect.signature(function).parameters)[2:]}
    artifacts = {parameter: _artifact(hint, stored) for parameter, hint in kinds.items()}
    order = Order(step=name, cache_key="key", code_digest="code", run=run_in(home))
    with pytest.raises(Made) as made:
        asyncio.run(function(order, None, **artifacts))
    assert made.value.kind is hints["return"]
    assert made.value.inputs == artifacts


def _artifact(hint: Any, stored: Artifact) -> Any:
    arguments = [kind for kind in typing.get_args(hint) if kind not in (str, type(None))]
    kind = arguments[0] if arguments else hint
    value = stored.as_(kind)
    return {"only": value} if typing.get_origin(hint) is dict else value
