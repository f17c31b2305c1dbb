"""Tasks of the recipe's own: asked beside the built-in ones, scored by them or by themselves, and told of in the report."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lm_eval.api.instance import Instance

from components.artifacts import OmissionTally
from components.errors import ConfigError, ExtensionError
from components.evaluation import harness, own_tasks
from components.evaluation.config import BenchmarkTask, EvaluationConfig
from components.extensions import Extension, gathered
from tests.components.evaluation.conftest import Models, World
from tests.components.evaluation.test_evaluate import CONFIG, run
from tests.components.evaluation.test_harness import Scripted

CHOICES = '''class Doubling:
    """Which is twice a
    number?

    More of it.
    """

    def __init__(self, numbers=100):
        self.numbers = numbers

    def items(self):
        for number in range(1, self.numbers + 1):
            yield {"context": f"Twice {number} is", "choices": [f" {2 * number} right", " 1"], "gold": 0}
'''
WORDS = """class Capitals:
    def items(self):
        yield {"context": "The capital of France is", "gold": "Paris"}
        yield {"context": "The capital of Spain is", "gold": "Madrid", "chance": 0.5}
"""
SCORED = '''class Sorting:
    """Are numbers sorted?"""

    max_tokens = 40
    until = (".",)

    def items(self):
        yield {"context": "2 1 sorted:", "gold": "1 2"}
        yield {"context": "4 3 sorted:", "gold": "3 4"}

    def score(self, item, answer):
        return 1.0 if answer.split() == item["gold"].split() else 0.25
'''


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Extension]:
    """A task of this text, whose class is the first one in it."""

    def make(text: str, **values: object) -> Extension:
        name = text.split("class ")[1].split(":")[0]
        (tmp_path / "tasks.py").write_text(text)
        return gathered(Extension(code=f"tasks.py:{name}", values=values), tmp_path)

    return make


class Counting(Scripted):
    """Says one thing, and keeps what it was asked to generate with."""

    def generate_until(self, requests: list[Instance]) -> list[str]:
        self.arguments = [request.args[1] for request in requests]
        return super().generate_until(requests)


def test_choices_are_scored_by_log_likelihood_words_by_the_first_and_others_by_the_task(task: Callable[..., Extension]) -> None:
    tasks = own_tasks.build([task(CHOICES, numbers=3), task(WORDS), task(SCORED)], max_items=10, tally=OmissionTally())
    model = Counting(lambda option: 0.0 if "right" in option else -50.0, " Paris 1 2\n")
    scores = {(score.task, score.metric): (score.value, score.items, score.chance) for score in harness.run(model, tasks)}
    assert scores == {
        ("doubling", "acc"): (1.0, 3, 0.5),
        ("doubling", "acc_norm"): (1.0, 3, 0.5),
        ("capitals", "exact_match"): (0.5, 2, 0.25),
        ("sorting", "score"): (0.25, 2, 0.0),
    }
    assert sorted({(given["max_gen_toks"], tuple(given["until"])) for given in model.arguments}) == [(16, ("\n",)), (40, (".",))]


def test_no_more_items_are_taken_than_the_config_allows(task: Callable[..., Extension]) -> None:
    endless = "import itertools\n\n\n" + CHOICES.replace("range(1, self.numbers + 1)", "itertools.count(1)")
    assert len(own_tasks.build([task(endless)], max_items=7, tally=OmissionTally()).choices["doubling"]) == 7


def test_reports_say_what_a_task_is_in_its_own_words(task: Callable[..., Extension]) -> None:
    meanings = own_tasks.build([task(CHOICES), task(WORDS), task(SCORED)], max_items=2, tally=OmissionTally()).meanings
    assert meanings["doubling"] == "Which is twice a number?"
    assert meanings["capitals"] == "The recipe's own task tasks.py:Capitals."
    assert meanings["sorting"] == "Are numbers sorted?"
    assert "from 0 to 1" in meanings["score"]


ITEM = '{"context": "a", "gold": "b"}'
CHOICE = '{"context": "a", "choices": ["b", "c"], "gold": 1}'


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("[]", r"task tasks\.py:Own has no valid items; it must be a class with a method items\(self\)"),
        (f"[{ITEM}, {CHOICE}]", "has items with choices and items without; split it into two tasks"),
        ("[1 / 0]", r"tasks\.py:3: ZeroDivisionError: division by zero; at item 1"),
        ('[{"context": "a"}]', "no valid items; the first item: KeyError: 'gold'; it must be a class"),
        ("None", "TypeError: 'NoneType' object is not iterable; at item 1"),
        ("__import__('itertools').repeat({})", "has no valid items; the first item: KeyError: 'context'"),
    ],
)
def test_a_task_that_fails_or_has_no_item_to_ask_is_refused(task: Callable[..., Extension], items: str, message: str) -> None:
    with pytest.raises(ExtensionError, match=message):
        own_tasks.build([task(f"class Own:\n    def items(self):\n        return {items}\n")], 10, OmissionTally())


@pytest.mark.parametrize(
    ("item", "detail"),
    [
        ('{"context": "a"}', "KeyError: 'gold'"),
        ('{"context": "", "gold": "b"}', "context is ''; allowed: a non-empty text"),
        ('{"context": "a", "gold": 1}', "gold is 1; allowed: the correct word or, with choices, the index"),
        ('{"context": "a", "choices": ["b"], "gold": 0}', "choices are ['b']; allowed: two or more non-empty texts"),
        ('{"context": "a", "choices": ["b", "c"], "gold": 2}', "gold is 2; allowed: the index of the correct one of 2 choices"),
        ('{"context": "a", "choices": 3, "gold": 2}', "not iterable"),
        ('{"context": "a", "gold": "b", "chance": "high"}', "could not convert"),
        ("None", "not subscriptable"),
    ],
)
def test_an_item_that_cannot_be_asked_costs_itself_and_is_named(task: Callable[..., Extension], item: str, detail: str) -> None:
    tally = OmissionTally()
    own = task(f"class Own:\n    def items(self):\n        return [{ITEM}, {item}, {ITEM}]\n")
    assert [row["uri"] for row in own_tasks.build([own], 10, tally).completions["own"]] == ["own#1", "own#3"]
    (row,) = tally.omissions().rows
    assert (row.source, row.unit, row.count, row.total, row.setting) == ("own", "items", 1, 3, "evaluation.tasks")
    assert row.cases[0].uri == "own#2"
    assert detail in row.cases[0].detail


@pytest.mark.parametrize(
    ("score", "message"), [("1 / 0", r"tasks\.py:12: ZeroDivisionError.*while scoring ' x'"), ("2", "returned the score 2.0")]
)
def test_a_score_that_fails_or_is_none_ends_the_evaluation_with_the_answer(
    task: Callable[..., Extension], score: str, message: str
) -> None:
    text = SCORED.replace('1.0 if answer.split() == item["gold"].split() else 0.25', score)
    tasks = own_tasks.build([task(text)], max_items=10, tally=OmissionTally())
    with pytest.raises(ExtensionError, match=message):
        harness.run(Counting(lambda _: 0.0, " x"), tasks)


def test_two_tasks_need_two_names(task: Callable[..., Extension]) -> None:
    own = task(CHOICES)
    with pytest.raises(ConfigError, match=r"EvaluationConfig\.tasks is \['doubling', 'doubling'\]; allowed: each name once"):
        EvaluationConfig(tasks=(own, own))
    with pytest.raises(ConfigError, match="not the name of a benchmark"):
        EvaluationConfig(tasks=(own,), benchmarks=(BenchmarkTask(name="doubling", prompt="{a}", answer="b"),))


def test_a_task_of_held_out_text_keeps_its_name(task: Callable[..., Extension]) -> None:
    built = own_tasks.build([task(CHOICES)], max_items=2, tally=OmissionTally())
    with pytest.raises(ConfigError, match="name doubling, which is the name of another task"):
        built.joined(built)


def test_what_json_says_of_a_task_is_plain(task: Callable[..., Extension]) -> None:
    assert json.loads(json.dumps(own_tasks.build([task(CHOICES)], max_items=1, tally=OmissionTally()).choices)) == {
        "doubling": [{"context": "Twice 1 is", "choices": [" 2 right", " 1"], "gold": 0, "uri": "doubling#1"}]
    }


@pytest.mark.long
def test_an_evaluation_measures_them_and_its_report_shows_them(
    task: Callable[..., Extension], world: World, models: Models, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, tasks=(task(CHOICES), task(SCORED)), max_items_per_task=2, repetition_prompts=1)
    figures, output = run(world, models, tmp_path, config=config, checkpoints={"base": models.checkpoints["base"]})
    assert {"doubling/base", "sorting/base"} <= figures.keys()
    report = json.loads((output / "report.json").read_text())
    assert [row["items"] for row in report["tasks"] if row["task"] in ("doubling", "sorting")] == [2, 2, 2]
    assert report["definitions"]["doubling"] == "Which is twice a number?"
    assert "| sorting | score |" in (output / "report.md").read_text()
    assert "Are numbers sorted?" in (output / "report.html").read_text()
