"""Which questions are asked about a recipe or a sweep, and which answers are remembered from earlier runs."""

import functools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.artifacts import JsonFile
from components.errors import ArtifactError, LongrunError
from components.extensions import extensions_in
from infra import caching
from infra.bundle import code_version
from infra.settings import Settings
from workflows.preflight.alignment import ConversationFiles, PairFiles
from workflows.preflight.benchmarks import BenchmarkFiles, BenchmarkItems
from workflows.preflight.machine import Hook, Installed, InstructionPackages, Room, Stores
from workflows.preflight.own_code import OwnClasses, OwnTasks
from workflows.preflight.question import Problem, Question
from workflows.preflight.sources import SourceFiles, WordLists
from workflows.preflight.starts import CheckpointStart, LawFile, TokenizerStart
from workflows.preflight.values import Counts, Lengths, Names, RegistryName
from workflows.recipe import Recipe
from workflows.steps.stages import STAGES, last_stage
from workflows.sweeps.sweep import Sweep

MAX_REMEMBERED = 1000
"""Answers that a home remembers; the oldest are forgotten first."""


def questions_of(config: Recipe | Sweep, until: str = "", hidden: Collection[str] = ()) -> list[Question]:
    """The questions about a recipe or sweep that ends after the stage or step `until`; empty: after the last.

    `hidden`: files that the recipe names and that cannot be read from this machine; they are not asked about.
    """
    stages = list(STAGES)
    asked = stages[: stages.index(last_stage(until)) + 1] if until else stages
    away, evaluated = tuple(sorted(hidden)), isinstance(config, Recipe) and "evaluation" in asked
    questions = [*_of_data(config, away, is_evaluated=evaluated)]
    questions += _of_recipe(config, away) if isinstance(config, Recipe) else ()
    return [question for question in questions if question.STAGE in asked]


def questions_of_machine(config: Recipe | Sweep, settings: Settings) -> list[Question]:
    """The questions about the machine and the services of a run."""
    return [
        Room(config=config, home=settings.home),
        Hook(),
        Stores(artifact_root=settings.artifact_root, mlflow_uri=settings.mlflow_uri),
    ]


def _of_data(config: Recipe | Sweep, hidden: tuple[str, ...], *, is_evaluated: bool) -> Iterator[Question]:
    """What recipes and sweeps have in common."""
    curation = config.curation
    yield OwnClasses(config=config)
    yield Installed(field="curation.sources", distributions=_together(each.distributions for each in curation.sources))
    yield SourceFiles(config=curation, checks=config.checks, is_evaluated=is_evaluated, hidden=hidden)
    benchmarks = tuple(each for each in curation.filtering.benchmarks if each.uri not in hidden)
    yield BenchmarkFiles(benchmarks=benchmarks, max_omitted_share=config.checks.corpus.max_omitted_share)
    yield WordLists(lists={each: name for each, name in curation.filtering.flagged_words.items() if name not in hidden})
    if config.tokenizer.start and config.tokenizer.start not in hidden:
        yield TokenizerStart(config=config.tokenizer)


def _of_recipe(recipe: Recipe, hidden: tuple[str, ...]) -> Iterator[Question]:
    yield from (RegistryName(recipe=recipe), Names(recipe=recipe), Lengths(recipe=recipe), Counts(recipe=recipe))
    yield InstructionPackages(field="conversations.distributions", distributions=_together([recipe.conversations.distributions]))
    if recipe.pretraining.start and recipe.pretraining.start not in hidden:
        yield CheckpointStart(config=recipe.pretraining)
    if recipe.scaling.law not in hidden:
        yield LawFile(config=recipe.scaling)
    yield ConversationFiles(config=recipe.conversations, limits=recipe.checks.conversations, hidden=hidden)
    yield PairFiles(config=recipe.preference_pairs, limits=recipe.checks.preference_pairs, hidden=hidden)
    benchmarks = tuple(each for each in recipe.curation.filtering.benchmarks if each.uri not in hidden)
    share = recipe.checks.evaluation.max_omitted_share
    yield BenchmarkItems(benchmarks=benchmarks, evaluation=recipe.evaluation, max_omitted_share=share)
    yield OwnTasks(config=recipe.evaluation, max_omitted_share=share)


def _together(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for each in names for name in each}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered(JsonFile):
    """The questions to which a home knows that there is no problem."""

    NAME: ClassVar[str] = "preflight.json"
    STEP: ClassVar[str] = "longrun run"

    keys: tuple[str, ...]

    @classmethod
    def of_home(cls, home: Path) -> "Remembered":
        """What the home remembers. A damaged file is ignored: every question is then asked again."""
        try:
            return cls.read(home)
        except ArtifactError:
            return cls(keys=())


def problems_with(questions: Collection[Question], home: Path) -> list[Problem]:
    """Ask all questions; but none that the home remembers to have found no problem in the same values and files."""
    known, problems = Remembered.of_home(home).keys, list[Problem]()
    answered = list[str]()
    for question in questions:
        key = _key_of(question)
        if key in known:
            continue
        raised = list(question.problems())
        problems += raised
        if key and not raised:
            answered.append(key)
    if answered:
        Remembered(keys=(*known, *answered)[-MAX_REMEMBERED:]).write(home)
    return problems


def _key_of(question: Question) -> str:
    """A key that changes with the question, its code and its facts; empty if the answer cannot be remembered."""
    if not question.IS_REMEMBERED:
        return ""
    try:
        facts = question.facts()
    except LongrunError:
        return ""  # said by the question itself
    asks_about_nothing = not facts and not any(extensions_in(question))
    if asks_about_nothing:
        return ""
    return caching.cache_key(type(question).problems, question, {}, {**facts, "code": _code_version()})


@functools.cache
def _code_version() -> str:
    return code_version()
