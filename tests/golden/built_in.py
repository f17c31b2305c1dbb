"""What the built-in recipes and sweeps say, beside what every config says by default: each value once.

A field that no recipe decides is in `defaults.json` alone. `python -m tests.golden.built_in` writes the files beside this one
again; so does `make golden`.
"""

import dataclasses
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflows.recipe import BUILT_IN as RECIPES
from workflows.recipe import Recipe, load_recipe
from workflows.sweeps.sweep import BUILT_IN as SWEEPS
from workflows.sweeps.sweep import Sweep, load_sweep

FOLDER = Path(__file__).parent

DEFAULTS = "defaults"

NAMES = (DEFAULTS, *RECIPES, *SWEEPS)

DISTRIBUTIONS = "the distributions that runtime locks pin"
"""Stands for a list that changes with each update of a dependency."""


def resolved(name: str) -> str:
    """What a recipe or a sweep says beyond the defaults, or the defaults of all configs, as JSON text."""
    if name == DEFAULTS:
        said: Any = {kind.__name__: _defaults(kind) for kind in _kinds()}
    else:
        said = _said(load_recipe(name) if name in RECIPES else load_sweep(name))
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def _said(value: Any, usual: Any = None) -> Any:
    """A value as JSON; of a config, the fields that are not as in `usual`, or without one, not as by default."""
    if isinstance(value, list | tuple):
        return [_said(each) for each in value]
    if isinstance(value, dict):
        return {key: _said(each) for key, each in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    said = {}
    for field in dataclasses.fields(value):
        own, other = getattr(value, field.name), getattr(usual, field.name) if type(usual) is type(value) else _default(field)
        if own != other:
            said[field.name] = DISTRIBUTIONS if field.name == "distributions" else _said(own, other)
    return said


def _defaults(kind: Any) -> dict[str, Any]:
    """The defaults of a config, without those of the configs in it."""
    values = ((field.name, _default(field)) for field in dataclasses.fields(kind))
    return {name: _said(value) for name, value in values if value is not dataclasses.MISSING}


def _default(field: "dataclasses.Field[Any]") -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _kinds() -> list[type]:
    """The configs that recipes and sweeps are made of, by name."""
    configs: dict[str, type] = {}
    waiting: list[Any] = [Recipe, Sweep]
    while waiting:
        kind = waiting.pop()
        if kind.__name__ not in configs:
            configs[kind.__name__] = kind
            waiting += (inner for hint in typing.get_type_hints(kind).values() for inner in _configs(hint))
    return [configs[name] for name in sorted(configs)]


def _configs(hint: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(hint):
        yield hint
    for inner in typing.get_args(hint):
        yield from _configs(inner)


if __name__ == "__main__":
    for name in NAMES:
        (FOLDER / f"{name}.json").write_text(resolved(name), encoding="utf-8")
