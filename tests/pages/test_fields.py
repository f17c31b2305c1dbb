"""Fields of a recipe that pages name exist, and values that they set are allowed."""

import dataclasses
import re
from pathlib import Path

import pytest

from tests.pages.shown import PAGES
from tests.paths import ROOT
from workflows.recipe import Recipe, load_recipe

_STAGES = "|".join(field.name for field in dataclasses.fields(Recipe) if field.name not in {"name", "description", "seed"})
_FIELD = re.compile(rf"`(?:--set )?'?((?:{_STAGES})(?:\.[a-z_0-9]+)+)(=[^`]*?)?'?`")


OTHERS = {"tokenizer.ggml.pre": "a key of GGUF files"}
"""What looks like a field of a recipe and is none."""


def fields_in(text: str) -> list[tuple[str, str]]:
    """Paths of fields in code of a page, each with `=VALUE` where it is set; no files."""
    matches = _FIELD.findall(text)
    return [(path, value) for path, value in matches if path not in OTHERS and not path.endswith((".py", ".md", ".json"))]


def unknown(fields: list[tuple[str, str]]) -> list[str]:
    """Those that the recipe `smoke` does not have."""
    recipe = load_recipe("smoke")
    return [path for path, _ in fields if not _has(recipe, path)]


def _has(value: object, path: str) -> bool:
    for name in path.split("."):
        if isinstance(value, tuple):
            value = value[int(name)] if name.isdecimal() else value
        elif hasattr(value, name):
            value = getattr(value, name)
        else:
            return False
    return True


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_fields_of_a_recipe_that_a_page_names_exist_and_take_the_value(page: Path) -> None:
    fields = fields_in(page.read_text(encoding="utf-8"))
    assert unknown(fields) == []
    for path, value in fields:
        if value and "…" not in value and "(" not in value:
            load_recipe("smoke", [f"{path}{value}"])


def test_a_field_that_does_not_exist_is_noticed() -> None:
    fields = fields_in("`sft.epoch`, `--set sft.epochs=2`, `curation.sources.0.weight`, `evaluation.py` and `tokenizer.json`")
    assert fields == [("sft.epoch", ""), ("sft.epochs", "=2"), ("curation.sources.0.weight", "")]
    assert unknown(fields) == ["sft.epoch"]
