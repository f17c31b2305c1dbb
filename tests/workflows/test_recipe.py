"""What stages of one recipe must agree on, and how a recipe travels."""

from dataclasses import replace

import pytest

from components.curation.config import Benchmark
from components.errors import ConfigError
from components.evaluation.config import BenchmarkTask
from workflows.recipe import BUILT_IN, from_json, load_recipe, to_json

TASK = BenchmarkTask(name="arc", prompt="{query}", choices=("choices",), answer="gold")


def test_a_benchmark_that_curation_does_not_search_for_is_refused() -> None:
    tiny = load_recipe("tiny")
    asked = replace(tiny.evaluation, benchmarks=(TASK,))
    with pytest.raises(ConfigError, match=r"evaluation\.benchmarks is \['arc'\]; allowed: those of curation\.benchmarks: none"):
        replace(tiny, evaluation=asked)
    searched = replace(tiny.curation, benchmarks=(Benchmark(name="arc", uri="arc.jsonl"),))
    assert replace(tiny, curation=searched, evaluation=asked).evaluation.benchmarks == (TASK,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"answer_form": "word"}, "answer_form is 'word'; allowed: number, letter, text"), ({"prompt": " "}, "allowed: some text")],
)
def test_a_task_that_makes_no_sense_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TASK, **changes)


@pytest.mark.long
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_recipe_that_travels_arrives_as_it_was(name: str) -> None:
    recipe = load_recipe(name)
    searched = replace(recipe.curation, benchmarks=(Benchmark(name="arc", uri="arc.jsonl"),), flagged_words={"en": "words.txt"})
    asked = replace(recipe.evaluation, benchmarks=(TASK,))
    changed = replace(recipe, curation=searched, evaluation=asked)
    assert [from_json(to_json(value)) for value in (recipe, changed)] == [recipe, changed]
