"""The law of the text that comes with longrun, and the recipes made by it: each is near its optimum, or has a reason."""

import pytest

from components.artifacts import ModelShape
from components.flops import non_embedding_flops_per_token, parameters_by_component
from components.scaling.laws.files import find_text_law
from components.scaling.laws.text_law import TextLaw
from components.scaling.sweeps.vocabulary import optima
from tests.paths import ROOT
from workflows.recipe import load_recipe
from workflows.sweeps.sweep import load_sweep

FILE = ROOT / "workflows/sweeps/laws/python-environment.json"

NEAR = 0.03
"""Share by which a recipe's predicted bits per byte may exceed those of the best model for the same FLOPs. A CPU does more FLOPs
per second in wide models, so the best model for a time is wider than the best for the FLOPs."""

REASONS: dict[str, str] = {}
"""Recipes that differ from the law, and why."""


@pytest.fixture
def law() -> TextLaw:
    if not FILE.is_file():
        pytest.skip("the sweep has not been run: longrun sweep python-text, then longrun law latest --output " + FILE.name)
    return find_text_law(str(FILE))


def test_the_law_is_that_of_the_sweep_that_repeats_it(law: TextLaw) -> None:
    sweep = load_sweep("python-text")
    assert sweep.ladder is not None
    assert law.name == sweep.name
    assert tuple(vocabulary.vocab_size for vocabulary in law.vocabularies) == sweep.vocabularies
    points = sweep.ladder.points()
    assert all(len(vocabulary.law.runs) == len(points) for vocabulary in law.vocabularies)
    assert law.sequence_length == sweep.ladder.family.sequence_length


@pytest.mark.parametrize("name", ["smoke", "laptop"])
def test_a_recipe_is_near_the_optimum_of_the_law_or_its_reason_stands_here(law: TextLaw, name: str) -> None:
    if name in REASONS:
        return
    recipe, sweep = load_recipe(name).pretraining, load_sweep("python-text")
    assert recipe.shape is not None
    assert recipe.tokens is not None
    assert sweep.ladder is not None
    length = recipe.sequence_length or law.sequence_length
    best = optima(law, sweep.ladder.family, _flops_per_token(recipe.shape, length) * recipe.tokens)[0]
    predicted = law.predict(recipe.shape, recipe.tokens, length).loss
    assert predicted <= (1 + NEAR) * best.bits_per_byte, f"{name} is predicted to end at {predicted:.3f}; the law prefers {best}"


def _flops_per_token(shape: ModelShape, length: int) -> int:
    return non_embedding_flops_per_token(shape, length) + 6 * parameters_by_component(shape)["head"]
