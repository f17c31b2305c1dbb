"""Values of different stages that contradict one another are found before the first of these stages."""

from dataclasses import replace

import pytest

from workflows.preflight.values import Counts, Lengths, Names, RegistryName
from workflows.recipe import BUILT_IN, Recipe, apply_override, load_recipe


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("tiny")


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_recipes_have_no_contradiction(name: str) -> None:
    recipe = load_recipe(name)
    questions = (RegistryName(recipe=recipe), Names(recipe=recipe), Lengths(recipe=recipe), Counts(recipe=recipe))
    assert [str(problem) for question in questions for problem in question.problems()] == []


def test_a_recipe_whose_name_the_registry_refuses_is_said(recipe: Recipe) -> None:
    (problem,) = RegistryName(recipe=replace(recipe, name="modèle")).problems()
    assert str(problem).startswith("registration.name: RegistrationConfig.name is 'modèle'; allowed: letters")
    named = replace(recipe, name="modèle", registration=replace(recipe.registration, name="model"))
    assert list(RegistryName(recipe=named).problems()) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("registration.model=dop", "registration.model: unknown model 'dop' (did you mean 'dpo'?)"),
        ('checks.evaluation.min_models=["base", "rlhf"]', "checks.evaluation.min_models: unknown model 'rlhf'"),
        ("pretraining.shape.vocab_size=1088", "pretraining.shape.vocab_size is 1088; allowed: that of the tokenizer"),
        ("sft.max_length=100000", "sft.max_length is 100000; allowed: at most the model's context"),
        ("dpo.max_length=100000", "dpo.max_length is 100000; allowed: at most the model's context"),
        ("preference_pairs.max_new_tokens=100000", "preference_pairs.max_new_tokens is 100000; allowed: below"),
        ("conversations.max_validation_conversations=1", "conversations.max_validation_conversations is 1; allowed: at least"),
        ("preference_pairs.max_pairs_per_kind=1", "preference_pairs.max_pairs_per_kind is 1; allowed: at least"),
    ],
)
def test_a_contradiction_is_said_with_the_field(recipe: Recipe, override: str, message: str) -> None:
    changed = apply_override(recipe, override)
    questions = (Names(recipe=changed), Lengths(recipe=changed), Counts(recipe=changed))
    (problem,) = (problem for question in questions for problem in question.problems())
    assert message in str(problem)


def test_a_batch_without_an_item_for_each_worker_is_said(recipe: Recipe) -> None:
    small = replace(recipe.sft, batch_size=1, training=replace(recipe.sft.training, workers=2))
    (problem,) = Counts(recipe=replace(recipe, sft=small)).problems()
    assert str(problem) == "sft.batch_size is 1; allowed: at least one item for each of 2 workers"
