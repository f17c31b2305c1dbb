"""How a component is called with what a step's function names: config, opened inputs, ports."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from components.artifacts import Artifact, Checkpoint, Corpus, Tokenizer
from components.checks.limits import CheckLimits, PlanLimits
from components.errors import DamagedArtifact
from components.extensions import Extension
from components.ports import LocalArtifactStore, Metrics, ShardEngine
from tests.components.ports.store_suite import publish
from tests.workflows.stage_suite import LocalWork, work_in
from workflows.steps.inputs import Component, StepFunction, called, flat, only, parameters_of, patterns_of
from workflows.steps.work import Work


@dataclass(frozen=True)
class Config:
    rate: float = 1.0


@dataclass(frozen=True)
class Together:
    """Directories of inputs as one value."""

    corpus: Path
    checkpoints: Mapping[str, Path]
    start: Path | None = None


@pytest.fixture
def work(tmp_path: Path) -> LocalWork:
    return work_in(tmp_path, "summary")


@pytest.fixture
def stored(tmp_path: Path) -> Artifact:
    return publish(LocalArtifactStore(tmp_path))


def outcome(component: Any, work: Work, **inputs: Any) -> Any:
    """What a component was called with, of a step of a corpus, perhaps a start, and checkpoints by name."""

    def function(
        config: Config, corpus: Corpus, start: Checkpoint | None = None, checkpoints: dict[str, Checkpoint] | None = None
    ) -> Component:
        returned: Component = component
        return returned

    return called(function, work, Config(), {"start": None, "checkpoints": None, **inputs})


def test_a_component_gets_config_directories_and_ports_by_the_names_of_its_parameters(
    work: LocalWork, stored: Artifact, tmp_path: Path
) -> None:
    def component(config: Config, *, corpus: Path, output: Path, engine: ShardEngine, metrics: Metrics) -> dict[str, Any]:
        return {"rate": config.rate, "corpus": corpus, "output": output, "same": metrics is work, "mapped": engine.map_shards}

    figures = outcome(component, work, corpus=stored)
    assert figures["mapped"](abs, [-1], description="numbers") == [1]
    expected = {"rate": 1.0, "corpus": tmp_path / stored.uri, "output": work.output, "same": True}
    assert figures | expected == figures


def test_a_port_that_no_component_names_is_not_opened(work: LocalWork, stored: Artifact) -> None:
    class Broken(LocalWork):
        @property
        def engine(self) -> ShardEngine:
            raise AssertionError("Ray was started")

    assert outcome(lambda corpus: {"corpus": corpus.name}, Broken(work.order, work.output, "0"), corpus=stored)


def test_absent_inputs_and_those_of_a_dictionary_come_as_they_are_declared(
    work: LocalWork, stored: Artifact, tmp_path: Path
) -> None:
    def component(corpus: Path, start: Path | None, checkpoints: Mapping[str, Path]) -> dict[str, Any]:
        return {"start": start, "checkpoints": checkpoints}

    figures = outcome(component, work, corpus=stored, checkpoints={"base": stored, "sft": stored})
    directory = tmp_path / stored.uri
    assert figures == {"start": None, "checkpoints": {"base": directory, "sft": directory}}


def test_a_component_may_take_all_inputs_as_one_value(work: LocalWork, stored: Artifact, tmp_path: Path) -> None:
    def component(config: Config, inputs: Together) -> dict[str, Any]:
        return {"inputs": inputs}

    directory = tmp_path / stored.uri
    figures = outcome(component, work, corpus=stored, checkpoints={"base": stored})
    assert figures["inputs"] == Together(directory, {"base": directory})


def test_what_a_step_has_bound_is_not_given_again(work: LocalWork, stored: Artifact) -> None:
    def component(rate: float, *, corpus: str) -> dict[str, Any]:
        return {"rate": rate, "corpus": corpus}

    def function(work: Work, config: Config, corpus: Corpus) -> Component:
        return functools.partial(component, config.rate, corpus=work.manifest(corpus).step)

    assert called(function, work, Config(), {"corpus": stored}) == {"rate": 1.0, "corpus": "curation"}


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (lambda corpus, seed: {}, "not available: seed; inputs that it does not take: nothing"),
        (lambda config: {}, "not available: nothing; inputs that it does not take: corpus"),
    ],
)
def test_a_need_that_nothing_meets_and_an_input_that_nobody_takes_are_refused(
    component: Any, message: str, work: LocalWork, stored: Artifact
) -> None:
    with pytest.raises(TypeError, match=f"step summary: .*{message}"):
        outcome(component, work, corpus=stored)


def test_an_absent_input_needs_nobody(work: LocalWork, stored: Artifact) -> None:
    assert outcome(lambda corpus: {"words": 1}, work, corpus=stored) == {"words": 1}


def test_a_manifest_names_each_input_and_those_of_dictionaries_and_lists_by_their_own_names(stored: Artifact) -> None:
    inputs = {"corpus": stored, "start": None, "checkpoints": {"base": stored}, "points": [stored, stored]}
    assert flat(inputs) == dict.fromkeys(["corpus", "checkpoints.base", "points.0", "points.1"], stored)


def test_an_input_may_say_which_of_its_files_are_needed() -> None:
    def function(config: Config, corpus: Annotated[Corpus, only("mixture.json", "metrics/*")], tokenizer: Tokenizer) -> Component:
        raise NotImplementedError

    function_: StepFunction = function
    _, corpus, tokenizer = parameters_of(function_)
    assert patterns_of(corpus.annotation) == ("mixture.json", "metrics/*")
    assert patterns_of(tokenizer.annotation) == ()


def test_an_input_is_opened_whole_where_code_of_the_recipe_s_own_may_read_any_file_of_it(
    work: LocalWork, stored: Artifact, tmp_path: Path
) -> None:
    first, second, *_ = (record.path for record in work.order.run.store.manifest(stored.uri).files)

    def function(config: Any, corpus: Annotated[Corpus, only(first)]) -> Component:
        return lambda corpus: {"corpus": corpus}

    (work.local(stored) / second).unlink()
    assert called(function, work, Config(), {"corpus": stored})
    with pytest.raises(DamagedArtifact, match=second):
        called(function, work, CheckLimits(plan=PlanLimits(own_checks=(Extension(code="checks.py:Own"),))), {"corpus": stored})
