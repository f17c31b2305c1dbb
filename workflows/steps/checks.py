"""Makes the steps that check an artifact, from a module with a function `check`."""

import inspect
import sys
from importlib import import_module
from typing import Any

from components.artifacts import Check
from infra.flyte import environments
from workflows.steps.inputs import Component
from workflows.steps.step import StepTask, step


def check(module: str, limits: type, artifact: Any, *, name: str = "", **others: Any) -> StepTask[Check]:
    """Make the step that calls `check(limits, artifact=…, output=…)` of a module, such as `components.checks.corpus`.

    Its name is `check_` and the module's name. Assign it to a variable of the same name, because Flyte looks it up by that.

    Args:
        module: the module with the check; the step runs again if code that this module reaches has changed.
        limits: the class of the limits.
        artifact: the kind of the checked artifact; annotated with `only(…)` if the check needs only some files.
        name: the step's name, if several steps share a module.
        others: the kinds of further inputs of the check, by parameter name.
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
    # the source is the same for all checks, so it does not tell which code this one reaches
    function.__dict__.update(__signature__=inspect.Signature(parameters), reaches=(module,))
    return step(environments.cpu, Check)(function)
