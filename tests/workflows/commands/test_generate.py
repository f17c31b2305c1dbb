"""Text by a model: that of a run's step, and one in a directory that longrun did not make."""

import shutil
from pathlib import Path

import pytest

from components.artifacts import ModelShape
from components.model.decoder import Decoder, initialise
from components.model.huggingface import save
from components.tokenizer.special_tokens import SpecialTokens
from infra.settings import Settings
from tests.components.registration.conftest import tokenizer_directory
from tests.workflows.conftest import published
from workflows.commands.generate import Prompt, answer
from workflows.steps.journal import open_journal

__all__ = ["tokenizer_directory"]

PROMPT = Prompt(text="abc", raw=True, max_new_tokens=4, temperature=0.0, seed=0)


@pytest.fixture
def model(tokenizer_directory: Path, tmp_path: Path) -> Path:
    """The directory of a small model with random weights."""
    decoder = Decoder(ModelShape(n_layer=1, d_model=16, n_head=2, n_kv_head=2, d_ffn=32, vocab_size=264, context=64))
    initialise(decoder, std=0.1, seed=3)
    save(decoder, tokenizer_directory, tmp_path / "model")
    return tmp_path / "model"


def test_the_model_of_a_step_and_its_directory_say_the_same(model: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    journal = open_journal(settings.runs)
    journal.write("made", step="pretraining", **published(settings, "pretraining", model, kind="Checkpoint").pinned)
    text = answer(settings, str(model), PROMPT)
    assert text.startswith("abc")
    assert len(text) > len("abc")
    assert {answer(settings, name, PROMPT) for name in ("latest:base", f"{journal.name}:pretraining", journal.name)} == {text}


def test_a_model_without_longruns_own_file_of_special_tokens_says_the_same(model: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    shutil.copytree(model, foreign, ignore=shutil.ignore_patterns(SpecialTokens.NAME))
    settings = Settings(home=tmp_path / "home")
    assert answer(settings, str(foreign), PROMPT) == answer(settings, str(model), PROMPT)
    assert not (foreign / SpecialTokens.NAME).exists()
