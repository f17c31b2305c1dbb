"""A recipe's own tasks: their items, and how answers are scored.

Items with `choices` are scored by log-likelihood, like those of the built-in tasks: the correct choice should have the highest.
For items without `choices`, a greedy continuation is generated, whose first word should be `gold`. If the class has a method
`score(self, item, answer)`, that returns a score from 0 to 1 instead; the attributes `max_tokens` and `until` then limit the
answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from components.artifacts import OmissionCase, OmissionTally
from components.errors import ExtensionError
from components.evaluation.benchmarks import UNIT
from components.evaluation.items import Row, Scoring, Tasks
from components.extensions import TASK, Extension, failure, load

MAX_ANSWER_TOKENS = 16
"""Default maximum tokens of a generated answer, for classes without `max_tokens`; enough for a word."""


_SCORE = "Mean score of greedily generated answers, from 0 to 1, given by the recipe's own task."


class EvaluationTask(Protocol):
    """Interface of a recipe's own task class."""

    def items(self) -> Iterable[Mapping[str, Any]]:
        """Yield items with `context` and either `choices` and `gold`, the index of the correct choice, or `gold`, the correct
        word, and optionally `chance`, the probability of guessing it."""
        ...


def build(extensions: Sequence[Extension], max_items: int, tally: OmissionTally) -> Tasks:
    """The first `max_items` valid items of each task; invalid ones are left out and recorded in `tally`.

    At most twice as many items are asked for, so that a task of invalid items that never ends is refused too.

    Raises:
        ConfigError: a task cannot be loaded.
        ExtensionError: a task fails, or has no valid items.
    """
    tasks = Tasks(choices={}, completions={})
    for extension in extensions:
        tasks = tasks.joined(_task(extension, load(extension, TASK), max_items, tally))
    return tasks


def _task(extension: Extension, task: Any, max_items: int, tally: OmissionTally) -> Tasks:
    rows: list[Row] = []
    first = ""
    for number, item in _items(extension, task, 2 * max_items):
        tally.add(extension.label, UNIT)
        uri = f"{extension.label}#{number}"
        try:
            rows.append({**_row(item), "uri": uri})
        except (LookupError, TypeError, ValueError) as error:
            detail = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
            tally.omit(extension.label, UNIT, "invalid-item", OmissionCase(uri=uri, detail=detail), "evaluation.tasks")
            first = first or f"; the first item: {detail}"
        if len(rows) == max_items:
            break
    if not rows:
        raise ExtensionError(f"task {extension.code} has no valid items{first}; it must be {TASK.form}")
    kinds = {"choices" in row for row in rows}
    if len(kinds) > 1:
        raise ExtensionError(f"task {extension.code} has items with choices and items without; split it into two tasks")
    meanings = {extension.label: _summary(task) or f"The recipe's own task {extension.code}."}
    if kinds == {True}:
        return Tasks(choices={extension.label: rows}, completions={}, meanings=meanings)
    if not hasattr(task, "score"):
        return Tasks(choices={}, completions={extension.label: rows}, meanings=meanings)
    scoring = {extension.label: _scoring(extension, task)}
    return Tasks(choices={}, completions={extension.label: rows}, scoring=scoring, meanings=meanings | {"score": _SCORE})


def _summary(task: Any) -> str:
    """The first paragraph of the class's docstring, in one line."""
    return " ".join((type(task).__doc__ or "").split("\n\n")[0].split())


def _items(extension: Extension, task: EvaluationTask, count: int) -> Iterator[tuple[int, Any]]:
    """The first `count` items, numbered from 1."""
    number = 0
    try:
        for number, item in enumerate(islice(task.items(), count), start=1):
            yield number, item
    except GeneratorExit:
        raise
    except Exception as error:
        raise failure(extension, TASK, error, f"at item {number + 1}; it must be {TASK.form}") from error


def _row(item: Mapping[str, Any]) -> Row:
    """The item in the form that the harness expects. Raises `ValueError` or `KeyError` if it is invalid."""
    context, gold = item["context"], item["gold"]
    if not isinstance(context, str) or not context:
        raise ValueError(f"context is {context!r}; allowed: a non-empty text")
    if "choices" in item:
        return {"context": context, "choices": _choices(item["choices"], gold), "gold": gold}
    if not isinstance(gold, str) or not gold:
        raise ValueError(f"gold is {gold!r}; allowed: the correct word or, with choices, the index of the correct one")
    return {"context": context, "gold": gold, "chance": float(item.get("chance", 0.0))}


def _choices(choices: Any, gold: Any) -> list[str]:
    texts = list(choices)
    if len(texts) < 2 or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"choices are {texts!r}; allowed: two or more non-empty texts, appended to the context without a space")
    if not isinstance(gold, int) or isinstance(gold, bool) or not 0 <= gold < len(texts):
        raise ValueError(f"gold is {gold!r}; allowed: the index of the correct one of {len(texts)} choices")
    return texts


@dataclass(frozen=True, slots=True)
class _OwnScore:
    """Calls a task's own `score` and checks the result, which must be from 0 to 1."""

    extension: Extension
    task: Any

    def __call__(self, item: Row, answer: str) -> float:
        try:
            value = float(self.task.score(dict(item), answer))
        except Exception as error:
            raise failure(self.extension, TASK, error, f"while scoring {answer!r} as an answer to {item['context']!r}") from error
        if not 0 <= value <= 1:
            raise ExtensionError(f"task {self.extension.code} returned the score {value} for {answer!r}; allowed: from 0 to 1")
        return value


def _scoring(extension: Extension, task: Any) -> Scoring:
    return Scoring(
        score=_OwnScore(extension, task),
        max_tokens=int(getattr(task, "max_tokens", MAX_ANSWER_TOKENS)),
        until=tuple(getattr(task, "until", ("\n",))),
    )
