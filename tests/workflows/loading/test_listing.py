"""What `longrun show` prints of a recipe."""

from dataclasses import replace

from components.curation.config import Source
from workflows.loading import apply_override
from workflows.loading.listing import MAX_VALUE, folded, nearest, recipe_lines
from workflows.recipe import load_recipe

TINY, SMOKE, LAPTOP = (load_recipe(name) for name in ("tiny", "smoke", "laptop"))


def test_what_differs_from_the_base_comes_first_with_the_value_there() -> None:
    lines = recipe_lines(apply_override(TINY, "sft.epochs=3"), TINY)
    assert lines[0].startswith("recipe tiny: 1 of ")
    assert lines[1] == "  sft.epochs = 3  (there 1)"
    assert lines[2] == ""
    assert "sft.epochs = 3" in lines[3:]


def test_a_new_source_and_a_removed_one_are_said() -> None:
    source = Source(uri="a.jsonl", domain="web", weight=2.0)
    sources = (*TINY.curation.sources[1:], source)
    lines = recipe_lines(replace(TINY, curation=replace(TINY.curation, sources=sources)), TINY)
    assert "  curation.sources.web-jsonl.weight = 2.0  (not there)" in lines
    assert "  curation.sources.code-python-environment.weight: only in the other, 0.6" in lines


def test_each_line_that_is_not_folded_can_be_given_to_set() -> None:
    lines = recipe_lines(TINY, TINY)
    values = [line.partition(" = ") for line in lines[2:] if "…" not in line]
    assert len(values) > 200
    for path, _, value in values:
        assert apply_override(TINY, f"{path}={value}") == TINY, path


def test_long_lists_are_folded_with_their_number_of_elements() -> None:
    (line,) = [line for line in recipe_lines(TINY, TINY) if line.startswith("conversations.distributions = ")]
    assert f"… ({len(TINY.conversations.distributions)} elements; --json shows all)" in line
    assert len(line) < 2 * MAX_VALUE
    assert folded("a\nb") == "a b… (3 characters; --json shows all)"


def test_the_base_is_the_built_in_recipe_with_the_fewest_differences() -> None:
    recipes = [TINY, SMOKE, LAPTOP]
    for recipe in recipes:
        mine = replace(apply_override(recipe, "dpo.beta=0.25"), name="mine")
        assert nearest(mine, recipes) is recipe
