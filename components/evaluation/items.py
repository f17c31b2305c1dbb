"""Items of the local tasks, cut from held-out text: the same for every model, and for every run with the same seed.

| task | kind | question |
|---|---|---|
| continuation-choice | perplexity | which text continues this held-out document? The others continue others of its domain |
| answer-choice | perplexity | which answer belongs to this held-out instruction? The others answer other instructions |
| preferred-answer | perplexity | is the preferred answer of a held-out pair more likely than the rejected one? |
| final-word | generation | which word ends this line? It occurs earlier in the text (as LAMBADA's, arXiv 1606.06031, mostly do) |
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
"""A multiple-choice item {context, choices, gold}, or a completion {context, gold, chance}; of a benchmark, with {clean}."""

_AFTER_WORD = re.compile(r"(?<=\S)\s")
_LINE_END = re.compile(r"(?:(?<=\S)(?= )|(?<=\.)) ?(\w{4,})[^\w\s]{0,3}$", re.MULTILINE)
_LONG_WORD = re.compile(r"\b\w{4,}\b")

_EIGHTHS = (4, 6, 2, 7, 5, 3, 1)
"""Where documents are cut, in eighths of their length, and in which order."""

_POOL = 8
"""Minimum questions read for each option of an item, so that even a few items have wrong options to choose from."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """How the completions of a task are generated and scored, if not by their first word."""

    score: Callable[[Row, str], float]
    """Of an item and what the model wrote, from 0 to 1."""
    max_tokens: int
    """Tokens generated at most."""
    until: tuple[str, ...]
    """Texts before which an answer ends."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """The items of each task; a task for which the held-out text does not suffice is missing here."""

    choices: dict[str, list[Row]]
    completions: dict[str, list[Row]]
    scoring: dict[str, Scoring] = field(default_factory=dict)
    """Of the completions that have a scoring of their own."""
    meanings: dict[str, str] = field(default_factory=dict)
    """What reports say of tasks that only the recipe knows."""

    def joined(self, others: "Tasks") -> "Tasks":
        """Both together. Raises `ConfigError` where a name occurs in both."""
        if repeated := sorted({*self.choices, *self.completions} & {*others.choices, *others.completions}):
            raise ConfigError(
                f"EvaluationConfig.benchmarks or .tasks name {repeated[0]}, which is the name of another task; "
                "allowed: a name of its own"
            )
        return Tasks(
            choices=self.choices | others.choices,
            completions=self.completions | others.completions,
            scoring=self.scoring | others.scoring,
            meanings=self.meanings | others.meanings,
        )


@dataclass(frozen=True, slots=True)
class _Question:
    """A context and its true continuation, which may serve as a wrong option to other questions."""

    group: str
    context: str
    answer: str


def build(config: EvaluationConfig, *, corpus: Path, conversations: Path, pairs: Path, chat: Callable[[str], str]) -> Tasks:
    """Cut the items of all tasks; `chat` renders a user's message as the prompt of a conversation."""
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
    """`text`, cut before the first word that ends beyond `characters`."""
    if len(text) <= characters:
        return text
    border = max(text.rfind(space, 1, characters) for space in " \n\t")
    return text[: border if border > 0 else characters].rstrip()


def _continuations(config: EvaluationConfig, domain: str, corpus: Path) -> Iterator[_Question]:
    """Each span of a document as the context, up to its first whole word, and what follows."""
    for document, start, _ in _spans(config, domain, corpus):
        border = _AFTER_WORD.search(document.text, start)
        if border is None:
            continue
        answer = shorten(document.text[border.start() :], config.max_answer_characters)
        context = document.text[max(0, border.start() - config.max_context_characters) : border.start()]
        if len(answer.strip()) >= config.max_answer_characters // 2:
            yield _Question(document.group, context, answer)


def _answers(config: EvaluationConfig, conversations: Iterable[Conversation], chat: Callable[[str], str]) -> Iterator[_Question]:
    """The first user message and answer of each conversation."""
    for conversation in conversations:
        prompt, answer = (conversation.messages[turn]["content"] for turn in (0, 1))
        yield _Question(conversation.group, chat(prompt), _option(config, answer))


def _preferences(config: EvaluationConfig, pairs: Iterable[PreferencePair], chat: Callable[[str], str]) -> Iterator[Row]:
    """Pairs whose answers still differ after they were shortened."""
    for pair in pairs:
        options = [_option(config, answer) for answer in (pair.chosen, pair.rejected)]
        if options[0] != options[1]:
            yield _shuffled(chat(pair.prompt), options, _drawn(config, pair.prompt, *options))


def _option(config: EvaluationConfig, answer: str) -> str:
    return " " + shorten(answer.strip(), config.max_answer_characters)


def _with_wrong_options(config: EvaluationConfig, questions: Iterator[_Question], count: int) -> list[Row]:
    """The first `count` questions, with answers of the others as wrong options; none if there are too few other answers."""
    pool = list(islice(questions, max(count, _POOL * config.choices)))
    rows = []
    for question in pool[:count]:
        rng = _drawn(config, question.context, question.answer)
        wrong = _draw(pool, question, config.choices - 1, rng)
        if len(wrong) == config.choices - 1:
            rows.append(_shuffled(question.context, [question.answer, *wrong], rng))
    return rows


def _drawn(config: EvaluationConfig, *texts: str) -> random.Random:
    """Numbers that depend on the seed and what an item says, not on where it came from."""
    return random.Random("\0".join([str(config.seed), *texts]))


def _draw(pool: list[_Question], question: _Question, count: int, rng: random.Random) -> list[str]:
    """Up to `count` distinct other answers, of other groups first: the same distribution's own might be right as well."""
    drawn: dict[str, None] = {}
    for foreign in (True, False):
        for _ in range(32 * count):
            other = pool[rng.randrange(len(pool))]
            if len(drawn) < count and other.answer != question.answer and not (foreign and other.group == question.group):
                drawn[other.answer] = None
    return list(drawn)


def _shuffled(context: str, options: list[str], rng: random.Random) -> Row:
    """The first option is right; its position is drawn, so that a model that always says the same scores at chance level."""
    order = rng.sample(range(len(options)), len(options))
    return {"context": context, "choices": [options[i] for i in order], "gold": order.index(0)}


def _final_words(config: EvaluationConfig, domain: str, corpus: Path) -> Iterator[Row]:
    """In each span of a document the first line that ends in a word which its context already holds."""
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
    """The document, and the characters from and to which an item may start.

    The middle of every document comes first, then other eighths of those long enough. The first eighth is never used: too often
    it is a licence and imports.
    """
    for number, eighth in enumerate(_EIGHTHS):
        for document in held_out.documents(corpus, domain):
            length = len(document.text)
            if length >= 2 * number * config.max_context_characters:
                yield document, length * eighth // 8, length * (eighth + 1) // 8
