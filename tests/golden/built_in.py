"""What a built-in recipe or sweep resolves to, without what depends on this Python environment.

`python -m tests.golden.built_in` writes the files beside this one again; so does `make golden`.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from workflows.recipe import BUILT_IN as RECIPES
from workflows.recipe import load_recipe
from workflows.sweeps.sweep import BUILT_IN as SWEEPS
from workflows.sweeps.sweep import load_sweep

FOLDER = Path(__file__).parent

NAMES = (*RECIPES, *SWEEPS)

DISTRIBUTIONS = "the distributions that runtime locks pin"
"""Stands for a list that changes with each update of a dependency."""


def resolved(name: str) -> str:
    """Every field of a recipe or a sweep, defaults included, as JSON text."""
    config = load_recipe(name) if name in RECIPES else load_sweep(name)
    return json.dumps(_stable(dataclasses.asdict(config)), indent=1, ensure_ascii=False) + "\n"


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: DISTRIBUTIONS if key == "distributions" and inner else _stable(inner) for key, inner in value.items()}
    return [_stable(inner) for inner in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    for name in NAMES:
        (FOLDER / f"{name}.json").write_text(resolved(name), encoding="utf-8")
