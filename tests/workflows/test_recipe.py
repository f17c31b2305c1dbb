"""What stages of one recipe must agree on, how a recipe travels, and the code that it brings."""

import asyncio
import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flyte.types import TypeEngine

from components.curation import FilteringConfig
from components.curation.config import Benchmark
from components.errors import ConfigError
from components.evaluation.config import BenchmarkTask, EvaluationConfig
from components.extensions import Extension, extensions_in
from components.extensions.kinds import kind_of
from components.file_names import naming_of
from components.tokenizer.config import TokenizerConfig
from workflows.loading import apply_override
from workflows.recipe import BUILT_IN, Recipe, from_json, load_recipe, to_json
from workflows.sweeps.sweep import Sweep

TASK = BenchmarkTask(name="arc", prompt="{query}", choices=("choices",), answer="gold")


def test_a_benchmark_that_curation_does_not_search_for_is_refused() -> None:
    tiny = load_recipe("tiny")
    asked = replace(tiny.evaluation, benchmarks=(TASK,))
    with pytest.raises(ConfigError, match=r"allowed: those of curation\.filtering\.benchmarks: none"):
        replace(tiny, evaluation=asked)
    searched = replace(tiny.curation, filtering=FilteringConfig(benchmarks=(Benchmark(name="arc", uri="arc.jsonl"),)))
    assert replace(tiny, curation=searched, evaluation=asked).evaluation.benchmarks == (TASK,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer_form": "word"}, "answer_form is 'word'; allowed: number, letter, text"),
        ({"prompt": " "}, "allowed: a non-empty text"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TASK, **changes)


@pytest.mark.long
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_recipe_that_travels_arrives_as_it_was(name: str) -> None:
    recipe = load_recipe(name)
    filtering = FilteringConfig(benchmarks=(Benchmark(name="arc", uri="arc.jsonl"),), flagged_words={"en": "words.txt"})
    searched = replace(recipe.curation, filtering=filtering)
    asked = replace(recipe.evaluation, benchmarks=(TASK,))
    changed = replace(recipe, curation=searched, evaluation=asked)
    assert [from_json(to_json(value), Recipe) for value in (recipe, changed)] == [recipe, changed]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "evaluation.domain_shares.cod=1.0",
            r"domain_shares is 'cod' \(did you mean 'code'\?\); allowed: code, maths",
        ),
        ("curation.corpus.max_epochs_by_domain.prosa=1", r"max_epochs_by_domain is 'prosa' \(did you mean 'prose'\?\)"),
        ("checks.corpus.max_duplicate_share_by_source.code=0.5", r"allowed: code-python-environment \(code\), maths-"),
    ],
)
def test_a_field_by_domain_or_source_names_those_of_the_recipe(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe("tiny", [override])


# Code of the recipe's own

OWN = {
    "mine.py": """
from dataclasses import replace

from components.extensions import Extension
from workflows.recipes.tiny import tiny


def mine():
    base = tiny()
    task = Extension(code="tasks.py:Doubling", values={"numbers": 3})
    return replace(base, name="mine", evaluation=replace(base.evaluation, tasks=(task,)))
""",
    "tasks.py": """
class Doubling:
    def __init__(self, numbers: int):
        self.numbers = numbers

    def items(self):
        for n in range(self.numbers):
            yield {"context": f"Twice {n} is", "choices": [f" {2 * n}", " no"], "gold": 0}
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe with a task of its own."""
    (tmp_path / "recipes").mkdir()
    for name, text in OWN.items():
        (tmp_path / "recipes" / name).write_text(text)
    return tmp_path / "recipes"


def test_the_code_of_a_recipe_is_found_beside_its_file_from_any_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for argument in ("recipes/mine.py", str(folder / "mine.py"), f"{folder}/mine.py:mine"):
        (task,) = load_recipe(argument).evaluation.tasks
        assert [file.path for file in task.files] == ["tasks.py"]


def test_a_recipe_of_ours_takes_code_from_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (task,) = load_recipe("tiny", ['evaluation.tasks=[{"code": "tasks.py:Doubling", "values": {"numbers": 2}}]']).evaluation.tasks
    assert (task.values, len(task.files)) == ({"numbers": 2}, 1)


def test_a_recipe_that_travels_brings_its_code(folder: Path) -> None:
    recipe = load_recipe(str(folder / "mine.py"))
    arrived = from_json(to_json(recipe), Recipe)
    assert arrived == recipe
    assert next(extensions_in(arrived)).files[0].content == (folder / "tasks.py").read_bytes()


@pytest.mark.parametrize("element", ["0", "doubling"])
def test_values_of_the_recipe_s_own_code_can_be_set(folder: Path, element: str) -> None:
    recipe = load_recipe(str(folder / "mine.py"), [f"evaluation.tasks.{element}.values.numbers=5"])
    assert [extension.values for extension in extensions_in(recipe)] == [{"numbers": 5}]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.tasks.0.values.numbers=many", r"task tasks\.py:Doubling, line 2: Doubling\.numbers is 'many'; allowed: int"),
        ("evaluation.tasks.0.values.number=1", "Doubling.* does not accept .*unexpected keyword argument 'number'"),
        ("evaluation.tasks.0.code=tasks.py:Doublings", r"unknown class 'Doublings' \(did you mean 'Doubling'\?\)"),
        ("evaluation.tasks.0.code=../tasks.py:Doubling", r"Extension\.code is .*in the recipe.s folder"),
    ],
)
def test_a_recipe_whose_code_does_not_fit_is_refused_when_it_is_loaded(folder: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(str(folder / "mine.py"), [override])


def test_every_field_for_code_of_the_recipe_s_own_says_which_kind_it_is() -> None:
    """Otherwise it would be found out only by the step that uses it."""
    kinds, waiting = {}, [Recipe]
    while waiting:
        owner = waiting.pop()
        hints = typing.get_type_hints(owner)
        for field in dataclasses.fields(owner):
            inner = {hints[field.name], *typing.get_args(hints[field.name])}
            if Extension in inner:
                kinds[f"{owner.__name__}.{field.name}"] = kind_of(field.metadata)
            waiting += [hint for hint in inner if dataclasses.is_dataclass(hint) and hint is not Extension]
    assert len(kinds) >= 8
    assert None not in kinds.values()


def test_a_config_with_code_of_the_recipe_s_own_passes_from_task_to_task(folder: Path) -> None:
    """Flyte makes a type of every config, and hands it on as bytes."""
    config = load_recipe(str(folder / "mine.py")).evaluation
    (task,) = config.tasks
    mixed: dict[str, Any] = {"a": 1, "b": 0.5, "c": True, "d": None, "e": ["x", 1], "f": {"g": [1.5]}}
    config = replace(config, tasks=(replace(task, values=mixed),))

    async def handed_on() -> EvaluationConfig:
        literal = await TypeEngine.to_literal(config, EvaluationConfig, TypeEngine.to_literal_type(EvaluationConfig))
        arrived: EvaluationConfig = await TypeEngine.to_python_value(literal, EvaluationConfig)
        return arrived

    assert asyncio.run(handed_on()) == config


NO_FILES = {
    "Benchmark.fields", "Benchmark.name", "BenchmarkTask.answer", "BenchmarkTask.answer_form", "BenchmarkTask.choices",
    "BenchmarkTask.name", "BenchmarkTask.prompt", "ConversationsConfig.distributions", "CorpusConfig.language_shares",
    "CorpusConfig.max_epochs_by_domain", "CorpusLimits.max_duplicate_share_by_source", "DuplicatesConfig.shingle_words",
    "EvaluationConfig.domain_shares", "EvaluationConfig.sample_prompts", "EvaluationLimits.min_baselines",
    "EvaluationLimits.min_models", "Extension.code", "Extension.data", "Extension.name", "Extension.values",
    "ExtensionFile.path", "ExtensionFile.text", "FilteringConfig.heuristic_thresholds", "FilteringConfig.heuristics",
    "FilteringConfig.personal_data", "FitConfig.scale", "IncidentConfig.non_finite", "IncidentConfig.on_spike",
    "PassagesConfig.action", "PassagesConfig.kinds", "PreferencePairsConfig.kinds", "ReadingConfig.language_model",
    "Recipe.description", "Recipe.name", "RegistrationConfig.alias", "RegistrationConfig.intended_use",
    "RegistrationConfig.licence", "RegistrationConfig.model", "RegistrationConfig.name", "RegistrationConfig.verdict",
    "ScheduleConfig.kind", "Source.distributions", "Source.domain", "Source.language", "Source.licence", "Source.name",
    "Source.suffixes", "Source.text_field", "Sweep.description", "Sweep.name", "TokenizerConfig.pre_tokenizer",
    "TrainingConfig.activation_checkpointing", "TrainingConfig.precision",
}  # fmt: skip
"""Texts of recipes and sweeps that name no file; code and data of extensions travel with the recipe."""


def _texts(kind: type, seen: set[type]) -> Iterator[tuple[str, bool]]:
    """Each field of a config, or of what is inside it, that holds text, and whether it says that it names files."""
    if kind in seen:
        return
    seen.add(kind)
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = list(_types_in(hints[field.name]))
        if str in inner or Path in inner:
            yield f"{kind.__name__}.{field.name}", naming_of(field) is not None
        for held in inner:
            if dataclasses.is_dataclass(held):
                yield from _texts(held, seen)


def _types_in(hint: Any) -> Iterator[Any]:
    yield hint
    for inner in typing.get_args(hint):
        yield from _types_in(inner)


def test_every_text_of_a_recipe_or_sweep_says_that_it_names_files_or_is_known_not_to() -> None:
    seen: set[type] = set()
    texts = dict([*_texts(Recipe, seen), *_texts(Sweep, seen)])
    assert {name for name, names in texts.items() if not names} == NO_FILES
    named = {"Source.uri", "Benchmark.uri", "FilteringConfig.flagged_words", "ScalingConfig.law", "PretrainingConfig.start"}
    named |= {"ConversationsConfig.sources", "PreferencePairsConfig.sources", "TokenizerConfig.start"}
    assert {name for name, names in texts.items() if names} == named


def test_a_tokenizer_can_be_taken_alone_and_not_beside_that_of_a_checkpoint() -> None:
    recipe = load_recipe("tiny", ['tokenizer={"start": "directory"}'])
    assert recipe.tokenizer == TokenizerConfig(start="directory")
    with pytest.raises(ConfigError, match=r"TokenizerConfig\.regular_tokens is 497; allowed: only its default 100000"):
        load_recipe("tiny", ["tokenizer.start=directory"])
    with pytest.raises(ConfigError, match=r"Recipe\.tokenizer\.start is 'directory'; allowed: empty with pretraining\.start"):
        apply_override(recipe, "pretraining.start=checkpoint")
