"""lm-eval with local items: what a model that knows everything, nothing, or only lengths scores."""

import os

from lm_eval.api.model import LM

from components.evaluation import harness
from components.evaluation.items import Tasks

CHOICES = [
    {"context": "{{ is this }} a template?", "choices": [" no, it is right", " yes", " perhaps", " who knows"], "gold": 0},
    {"context": "12", "choices": [" one", " two, which is right", " three", " four"], "gold": 1},
]
WORDS = [
    {"context": "def f(self, gamma):\n    self.gamma =", "gold": "gamma", "chance": 0.5},
    {"context": "{% raw", "gold": "right", "chance": 0.25},
]
TASKS = Tasks(choices={"choice": CHOICES}, completions={"word": WORDS})


class Scripted(LM):
    """Prefers options by a rule, and says one thing."""

    def __init__(self, prefers, says):
        super().__init__()
        self.prefers, self.says, self.contexts = prefers, says, []

    def loglikelihood(self, requests):
        self.contexts += [request.args[0] for request in requests]
        return [(self.prefers(request.args[1]), False) for request in requests]

    def loglikelihood_rolling(self, requests):
        return [0.0 for _ in requests]

    def generate_until(self, requests):
        self.contexts += [request.args[0] for request in requests]
        return [self.says for _ in requests]


def scores(model):
    return {(s.task, s.metric): s.value for s in harness.run(model, TASKS)}


def test_a_model_that_knows_the_answers_scores_one():
    model = Scripted(lambda option: 0.0 if "right" in option else -100.0, " gamma)\n")
    assert scores(model) == {("choice", "acc"): 1.0, ("choice", "acc_norm"): 1.0, ("word", "exact_match"): 0.5}


def test_a_model_that_dislikes_the_right_options_scores_zero():
    model = Scripted(lambda option: -100.0 if "right" in option else 0.0, "")
    assert set(scores(model).values()) == {0.0}


def test_a_constant_cost_per_character_is_normalised_away_and_a_bias_for_short_options_is_not():
    model = Scripted(lambda option: -1.0 * len(option) + (0.5 if "right" in option else 0.0), "")
    assert scores(model)["choice", "acc"] == 0
    assert scores(model)["choice", "acc_norm"] == 1


def test_items_and_chance_are_reported():
    by_metric = {s.metric: s for s in harness.run(Scripted(len, ""), TASKS)}
    assert (by_metric["acc_norm"].items, by_metric["acc_norm"].chance) == (2, 0.25)
    assert (by_metric["exact_match"].items, by_metric["exact_match"].chance) == (2, 0.375)


def test_items_marked_as_clean_are_also_scored_alone():
    marked = [{**row, "clean": "yes" in row["choices"][1]} for row in CHOICES]
    words = [{**row, "clean": False} for row in WORDS]
    tasks = Tasks(choices={"choice": marked, "local": CHOICES}, completions={"word": words})
    model = Scripted(lambda option: 0.0 if "no, it is right" in option else -1.0, " gamma")
    by_task = {(s.task, s.metric): s for s in harness.run(model, tasks)}
    choice = by_task["choice", "acc"]
    assert [choice.value, choice.clean_value, choice.clean_items] == [0.5, 1.0, 1]
    assert (by_task["word", "exact_match"].clean_value, by_task["word", "exact_match"].clean_items) == (None, 0)
    assert (by_task["local", "acc"].clean_value, by_task["local", "acc"].clean_items) == (None, None)


def test_contexts_reach_the_model_as_they_are_braces_included():
    model = Scripted(len, "")
    harness.run(model, TASKS)
    assert set(model.contexts) == {row["context"] for row in CHOICES + WORDS}


def test_nothing_is_printed_or_logged_and_no_hub_is_asked(capfd):
    os.environ["HF_HUB_OFFLINE"] = "1"
    harness.run(Scripted(len, ""), TASKS)
    assert capfd.readouterr() == ("", "")


def test_a_task_without_completions_is_no_trouble():
    scores = harness.run(Scripted(len, ""), Tasks(choices={"choice": CHOICES}, completions={}))
    assert [score.metric for score in scores] == ["acc", "acc_norm"]


def test_without_tasks_there_are_no_scores():
    assert harness.run(Scripted(len, ""), Tasks(choices={}, completions={})) == []
