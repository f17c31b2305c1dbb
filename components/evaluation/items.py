"""Makes task items from held-out text: the same for every model, and for every run with the same seed.

| task | kind | question |
|---|---|---|
| continuation-choice | perplexity | which text continues this document? Wrong options continue other documents of its domain |
| answer-choice | perplexity | which answer belongs to this instruction? Wrong options answer other instructions |
| preferred-answer | perplexity | is the preferred answer of a pair more probable than the rejected one? |
| final-word | generation | which word ends this line? It occurs earlier in the text (as mostly in LAMBADA, arXiv 1606.06031) |
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from components.artifacts import VALIDATION, Conversation, PreferencePair
from components.errors import ConfigError
from components.evaluation import held_out
from components.evaluation.config import EvaluationConfig

Row = dict[str, Any]
"""A multiple-choice item {context, choices, gold}, or a completion {context, gold, chance}; benchmark items also have {clean}.

Items of benchmarks and of a recipe's own tasks have {uri}: where they come from."""

MAX_WORD_TOKENS = 16
"""Maximum tokens generated for one word; enough for words of a few dozen bytes."""

_AFTER_WORD = re.compile(r"(?<=\S)\s")
_LINE_END = re.compile(r"(?:(?<=\S)(?= )|(?<=\.)) ?(\w{4,})[^\w\s]{0,3}$", re.MULTILINE)
_LONG_WORD = re.compile(r"\b\w{4,}\b")

_EIGHTHS = (4, 6, 2, 7, 5, 3, 1)
"""Positions at which documents are cut, in eighths of their length, in the order in which they are used."""

_POOL = 8
"""Minimum number of questions per option, so that there are enough wrong options even if few items are wanted."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """How the completions of a task are generated and scored, if not by comparing the first word."""

    score: Callable[[Row, str], float]
    """Returns the score, from 0 to 1, of an item and the generated text."""
    max_tokens: int
    """Maximum tokens to generate."""
    until: tuple[str, ...]
    """Strings that end an answer; they are not part of it."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """The items of all tasks, by task name. A task for which there is not enough held-out text is left out."""

    choices: dict[str, list[Row]]
    """Items of multiple-choice tasks."""
    completions: dict[str, list[Row]]
    """Items of generation tasks."""
    scoring: dict[str, Scoring] = field(default_factory=dict)
    """Scoring of generation tasks that do not compare the first word."""
    meanings: dict[str, str] = field(default_factory=dict)
    """Descriptions of the recipe's own tasks, for reports."""

    def joined(self, others: "Tasks") -> "Tasks":
        """The tasks of both. Raises `ConfigError` if a name occurs in both."""
        if repeated := sorted({*self.choices, *self.completions} & {*others.choices, *others.completions}):
            raise ConfigError(
                f"EvaluationConfig.benchmarks or .tasks has the name {repeated[0]}, which is the name of another task; "
                "allowed: unique names"
            )
        return Tasks(
            choices=self.choices | others.choices,
            completions=self.completions | others.completions,
            scoring=self.scoring | others.scoring,
            meanings=self.meanings | others.meanings,
        )


@dataclass(frozen=True, slots=True)
class _Question:
    """A context and its correct continuation, which may be a wrong option of other questions."""

    group: str
    context: str
    answer: str


def build(config: EvaluationConfig, *, corpus: Path, conversations: Path, pairs: Path, chat: Callable[[str], str]) -> Tasks:
    """Make the items of all tasks. `chat` formats a user's message as the prompt of a conversation."""
    domains = held_out.domains(corpus)
    per_domain = -(-config.max_items_per_task // len(domains))
    answers = _answers(config, Conversation.read(conversations, VALIDATION), chat)
    preferences = _preferences(config, PreferencePair.read(pairs, VALIDATION), chat)
    choices = {
        "continuation-choice": [
            row for name in domains for row in _with_wrong_options(config, _continuations(config, name, corpus), per_domain)
        ],
        "answer-choice": _with_wrong_options(config, answers, config.max_items_per_task),
        "preferred-answer": list(islice(preferences, config.max_items_per_task)),
    }
    words = [row for name in domains for row in islice(_final_words(config, name, corpus), per_domain)]
    return Tasks(
        choices={name: rows for name, rows in choices.items() if rows},
        completions={"final-word": words} if words else {},
    )


def shorten(text: str, characters: int) -> str:
    """`text`, truncated at a word boundary to at most `characters` characters."""
    if len(text) <= characters:
        return text
    border = max(text.rfind(space, 1, characters) for space in " \n\t")
    return text[: border if border > 0 else characters].rstrip()


def _continuations(config: EvaluationConfig, domain: str, corpus: Path) -> Iterator[_Question]:
    """Questions made by cutting documents at a word: the context is the text before the cut, the answer the text after."""
    for document, start, _ in _spans(config, domain, corpus):
        border = _AFTER_WORD.search(document.text, start)
        if border is None:
            continue
        answer = shorten(document.text[border.start() :], config.max_answer_characters)
        context = document.text[max(0, border.start() - config.max_context_characters) : border.start()]
        if len(answer.strip()) >= config.max_answer_characters // 2:
            yield _Question(document.group, context, answer)


def _answers(config: EvaluationConfig, conversations: Iterable[Conversation], chat: Callable[[str], str]) -> Iterator[_Question]:
    """Questions made from the first user message and answer of each conversation."""
    for conversation in conversations:
        prompt, answer = (conversation.messages[turn]["content"] for turn in (0, 1))
        yield _Question(conversation.group, chat(prompt), _option(config, answer))


def _preferences(config: EvaluationConfig, pairs: Iterable[PreferencePair], chat: Callable[[str], str]) -> Iterator[Row]:
    """Items made from pairs whose answers still differ after truncation."""
    for pair in pairs:
        options = [_option(config, answer) for answer in (pair.chosen, pair.rejected)]
        if options[0] != options[1]:
            yield _shuffled(chat(pair.prompt), options, _drawn(config, pair.prompt, *options))


def _option(config: EvaluationConfig, answer: str) -> str:
    return " " + shorten(answer.strip(), config.max_answer_characters)


def _with_wrong_options(config: EvaluationConfig, questions: Iterator[_Question], count: int) -> list[Row]:
    """Items of the first `count` questions, with answers to other questions as wrong options.

    Questions without enough wrong options are left out.
    """
    pool = list(islice(questions, max(count, _POOL * config.choices)))
    rows = []
    for question in pool[:count]:
        rng = _drawn(config, question.context, question.answer)
        wrong = _draw(pool, question, config.choices - 1, rng)
        if len(wrong) == config.choices - 1:
            rows.append(_shuffled(question.context, [question.answer, *wrong], rng))
    return rows


def _drawn(config: EvaluationConfig, *texts: str) -> random.Random:
    """A random generator seeded with the config's seed and the text of an item."""
    return random.Random("\0".join([str(config.seed), *texts]))


def _draw(pool: list[_Question], question: _Question, count: int, rng: random.Random) -> list[str]:
    """Up to `count` distinct wrong answers, from other groups if possible: answers of the same group might be correct as well."""
    drawn: dict[str, None] = {}
    for foreign in (True, False):
        for _ in range(32 * count):
            other = pool[rng.randrange(len(pool))]
            if len(drawn) < count and other.answer != question.answer and not (foreign and other.group == question.group):
                drawn[other.answer] = None
    return list(drawn)


def _shuffled(context: str, options: list[str], rng: random.Random) -> Row:
    """An item with the options in random order; the first of `options` is correct. A constant choice then scores at chance."""
    order = rng.sample(range(len(options)), len(options))
    return {"context": context, "choices": [options[i] for i in order], "gold": order.index(0)}


def _final_words(config: EvaluationConfig, domain: str, corpus: Path) -> Iterator[Row]:
    """For each span of a document, an item for the first line whose last word already occurs in its context."""
    for document, start, stop in _spans(config, domain, corpus):
        for match in _LINE_END.finditer(document.text, start):
            if match.start() >= stop:
                break
            context = document.text[max(0, match.start() - config.max_context_characters) : match.start()]
            known = set(_LONG_WORD.findall(context))
            if match[1] in known:
                yield {"context": context, "gold": match[1], "chance": 1 / len(known)}
                break


def _spans(config: EvaluationConfig, domain: str, corpus: Path) -> Iterator[tuple[held_out.Document, int, int]]:
    """Documents with the range of characters in which an item may start.

    The middle of every document comes first, then other eighths of documents that are long enough. The first eighth is not used,
    because it often contains a licence and imports.
    """
    for number, eighth in enumerate(_EIGHTHS):
        for document in held_out.documents(corpus, domain):
            length = len(document.text)
            if length >= 2 * number * config.max_context_characters:
                yield document, length * eighth // 8, length * (eighth + 1) // 8
