"""A recipe's own classes are imported and its tasks asked before the run."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.extensions import Extension, gathered
from workflows.preflight.own_code import OwnClasses, OwnTasks
from workflows.recipe import Recipe, load_recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "own.py").write_text(
        "class Good:\n    def items(self):\n        yield {'context': 'a', 'gold': 'b'}\n"
        "class Empty:\n    def items(self):\n        return []\n"
        "class Wrong:\n    def items(self):\n        yield {'context': 'a', 'gold': 3}\n"
    )
    recipe = load_recipe("tiny")
    tasks = tuple(Extension(code=f"own.py:{name}") for name in ("Good", "Empty", "Wrong"))
    return gathered(replace(recipe, evaluation=replace(recipe.evaluation, tasks=tasks)), tmp_path)


def test_a_class_that_cannot_be_made_in_this_process_is_said(recipe: Recipe) -> None:
    assert list(OwnClasses(config=recipe).problems()) == []
    good, *others = recipe.evaluation.tasks
    broken = replace(good, values={"surprise": 1})
    changed = replace(recipe, evaluation=replace(recipe.evaluation, tasks=(broken, *others)))
    (problem,) = OwnClasses(config=changed).problems()
    assert str(problem).startswith("evaluation.tasks: task own.py:Good")


def test_every_task_is_asked_for_its_items(recipe: Recipe) -> None:
    problems = [str(problem) for problem in OwnTasks(config=recipe.evaluation, max_omitted_share=0.5).problems()]
    assert any(problem.startswith("evaluation.tasks.1: task own.py:Empty has no valid items") for problem in problems)
    assert any(problem.startswith("evaluation.tasks.2: task own.py:Wrong") for problem in problems)
    assert not any(problem.startswith("evaluation.tasks.0") for problem in problems)
