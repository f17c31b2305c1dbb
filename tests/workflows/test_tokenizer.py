"""The steps of the tokenizer's stage."""

import inspect
from pathlib import Path

import pytest

from components.artifacts import Checkpoint, Corpus
from components.errors import MissingArtifact
from components.tokenizer.config import TokenizerConfig
from components.tokenizer.training import reuse_tokenizer, train_tokenizer
from tests.workflows.stage_suite import require_inputs_taken, steps_of
from workflows import tokenizer


@pytest.mark.parametrize("step", steps_of(tokenizer))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(tokenizer, step, tmp_path)


def test_an_existing_tokenizer_is_taken_again_when_its_files_have_changed(tmp_path: Path) -> None:
    facts, config = steps_of(tokenizer)["tokenizer"].facts, TokenizerConfig(start=str(tmp_path))
    with pytest.raises(MissingArtifact, match=r"no tokenizer\.json here"):
        facts(config)
    taken = []
    for text in ("{}", "{}", "{ }"):
        (tmp_path / "tokenizer.json").write_text(text)
        taken.append(facts(config))
    first, same, changed = taken
    assert first == same != changed
    assert facts(TokenizerConfig()) == {}


def test_a_tokenizer_is_trained_unless_there_is_one() -> None:
    component, corpus = inspect.unwrap(steps_of(tokenizer)["tokenizer"]), Corpus(uri="corpus", digest="")
    checkpoint = Checkpoint(uri="checkpoint", digest="")
    assert component(TokenizerConfig(), corpus) is train_tokenizer
    assert component(TokenizerConfig(start="directory"), corpus) is reuse_tokenizer
    assert component(TokenizerConfig(), corpus, checkpoint) is reuse_tokenizer
