"""The steps that check an artifact: each is a module with a function `check`, its limits, and what it reads."""

import inspect
import sys
from importlib import import_module
from typing import Any

from components.artifacts import Check
from infra.flyte import environments
from workflows.steps.inputs import Component
from workflows.steps.step import StepTask, step


def check(module: str, limits: type, artifact: Any, *, name: str = "", **others: Any) -> StepTask[Check]:
    """The step that calls `check(limits, artifact=…, output=…)` of a module, such as `components.checks.corpus`.

    It is named `check_` and the module's name, and so must the variable be that holds it: Flyte looks it up by that.

    Args:
        module: where the check is; the step runs again where the code that it reaches from there has changed.
        limits: class of the limits.
        artifact: kind of the artifact that is checked, with `only(…)` where it needs few files.
        name: another name of the step, where two steps share a module.
        others: kinds of what else the check reads, by the names of its parameters.
    """

    def function(limits: Any, **inputs: Any) -> Component:
        component: Component = import_module(module).check
        return component

    kinds = {"limits": limits, "artifact": artifact, **others}
    parameters = [inspect.Parameter(parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD) for parameter in kinds]
    function.__name__ = function.__qualname__ = name or f"check_{module.rpartition('.')[2]}"
    function.__doc__ = f"Check by `{module}`."
    function.__module__ = sys._getframe(1).f_globals["__name__"]
    function.__annotations__ = kinds
    # what the source, which all checks share, does not say
    function.__dict__.update(__signature__=inspect.Signature(parameters), reaches=(module,))
    return step(environments.cpu, Check)(function)
