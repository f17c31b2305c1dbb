"""A tokenizer, checkpoint or law that a recipe starts from is imported before the run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.pretraining.config import PretrainingConfig
from components.scaling.config import ScalingConfig
from components.tokenizer.config import TokenizerConfig
from workflows.preflight.starts import CheckpointStart, LawFile, TokenizerStart


def tokenizer_problem(directory: Path) -> str:
    (problem,) = TokenizerStart(config=TokenizerConfig(start=str(directory))).problems()
    return str(problem)


def test_a_tokenizer_is_imported_as_its_stage_does(tmp_path: Path) -> None:
    assert "tokenizer.start: " in tokenizer_problem(tmp_path / "absent")
    assert "no tokenizer.json here" in tokenizer_problem(tmp_path / "absent")
    (tmp_path / "tokenizer.json").write_text("{}")
    assert "not a tokenizer" in tokenizer_problem(tmp_path)


@pytest.mark.parametrize(("content", "message"), [(None, "no law is called"), ("{", "not a law file"), ("{}", "not a law file")])
def test_a_law_file_is_read(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    if content is not None:
        path.write_text(content)
    (problem,) = LawFile(config=ScalingConfig(law=str(path))).problems()
    assert str(problem).startswith("scaling.law: ")
    assert message in str(problem)
    assert list(LawFile(config=ScalingConfig()).problems()) == []


@pytest.mark.long
def test_a_checkpoint_is_compared_with_its_config_without_reading_its_weights(finished: Path, tmp_path: Path) -> None:
    model = next(path.parent for path in sorted(finished.rglob("model.safetensors")))
    config = PretrainingConfig(start=str(model))
    assert list(CheckpointStart(config=config).problems()) == []
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in model.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    broken = replace(config, start=str(copy))
    (copy / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:1000])
    (problem,) = CheckpointStart(config=broken).problems()
    assert str(problem).startswith("pretraining.start: ")
    assert "not a complete safetensors file" in str(problem)
    (copy / "config.json").write_text(json.dumps({**json.loads((copy / "config.json").read_text()), "model_type": "gpt2"}))
    (problem,) = CheckpointStart(config=broken).problems()
    assert "gpt2" in str(problem)
