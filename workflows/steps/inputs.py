"""Derives a step's inputs from the parameters of its function:

    @step(environments.data, TokenShards)
    def token_shards(config: TokenShardsConfig, corpus: Corpus, tokenizer: Tokenizer) -> Component:
        from components.tokenizer.token_shards import encode_corpus

        return encode_corpus

From these parameters follow the task's signature, the inputs in the manifest, and the directories passed to the component.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.artifacts import Artifact, CheckReport
from components.extensions import extensions_in
from workflows.steps.work import PORTS, Work

Component = Callable[..., Mapping[str, Any] | CheckReport]
"""The entry function of a component. It returns figures, or the report of a check."""

StepFunction = Callable[..., Component]
"""The function of a step: takes the config and the inputs, after its `Work` if it needs that, and returns the component."""


WORK = "work"
"""Name of the first parameter of step functions that need their `Work`."""


@dataclass(frozen=True, slots=True)
class Only:
    """The files of an input that a step opens, as paths or patterns."""

    patterns: tuple[str, ...]


def only(*patterns: str) -> Only:
    """Declare which files of an input a step opens: `corpus: Annotated[Corpus, only("mixture.json", "metrics/*")]`."""
    return Only(patterns)


def flat(inputs: Mapping[str, Any]) -> dict[str, Artifact]:
    """Inputs as the manifest lists them, by name. Artifacts of a dictionary or list become NAME.KEY; absent inputs are left
    out."""
    artifacts: dict[str, Artifact] = {}
    for name, value in inputs.items():
        if isinstance(value, Artifact):
            artifacts[name] = value
        elif value is not None:
            artifacts |= {f"{name}.{key}": artifact for key, artifact in _items(value)}
    return artifacts


def _items(value: Any) -> Iterable[tuple[Any, Artifact]]:
    return value.items() if isinstance(value, Mapping) else enumerate(value)


def parameters_of(function: StepFunction) -> tuple[inspect.Parameter, ...]:
    """The parameters of a step for config and inputs, with resolved types."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return tuple(parameter.replace(annotation=hints[parameter.name]) for parameter in parameters if parameter.name != WORK)


def called(function: StepFunction, work: Work, config: Any, inputs: Mapping[str, Any]) -> Mapping[str, Any] | CheckReport:
    """Open the inputs of a step and call its component; returns what the component returns."""
    component = component_of(function, work, config, inputs)
    return component(**arguments_of(function, component, work, config, inputs))


def component_of(function: StepFunction, work: Work, config: Any, inputs: Mapping[str, Any]) -> Component:
    """The component that a step's function returns."""
    return function(*((work, config) if _takes_work(function) else (config,)), **inputs)


def arguments_of(
    function: StepFunction, component: Component, work: Work, config: Any, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """The keyword arguments for a component: config, directories of inputs, and ports, chosen by the names of its parameters.

    A parameter `inputs` gets all inputs as one value of its type. Arguments bound by `functools.partial` are kept.

    Raises:
        TypeError: the component has a required parameter that a step does not offer, or ignores an input of a step without
            `work`.
    """
    bound = component.keywords if isinstance(component, functools.partial) else {}
    wanted = {name: value for name, value in inspect.signature(component).parameters.items() if name not in bound}
    together = wanted.get("inputs")
    config_parameter, *declared = parameters_of(function)
    whole = any(True for _ in extensions_in(config))  # a recipe's own code may read any file
    opened = {
        parameter.name: work.local(inputs[parameter.name], () if whole else patterns_of(parameter.annotation))
        for parameter in declared
        if together or parameter.name in wanted
    }
    arguments = {"inputs": together.annotation(**opened)} if together else opened
    arguments |= {config_parameter.name: config} if config_parameter.name in wanted else {}
    arguments |= {port: getattr(work, port) for port in PORTS if port in wanted}
    ignored = [] if _takes_work(function) else [name for name in inputs if name not in opened and inputs[name] is not None]
    lacking = [name for name, value in wanted.items() if value.default is value.empty and name not in arguments]
    if ignored or lacking:
        raise TypeError(
            f"step {work.order.step}: its component takes {', '.join(wanted)}; not available: {_list(lacking)}; inputs that it "
            f"does not take: {_list(ignored)}; a step offers its config, its inputs and {', '.join(PORTS)}"
        )
    return arguments


def patterns_of(annotation: Any) -> tuple[str, ...]:
    """The paths and patterns in an input's `only(…)`; empty: all files."""
    return next((extra.patterns for extra in getattr(annotation, "__metadata__", ()) if isinstance(extra, Only)), ())


def _takes_work(function: StepFunction) -> bool:
    return WORK in inspect.signature(function).parameters


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
