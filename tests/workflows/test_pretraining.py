"""The steps of pretraining, and the checkpoint where it starts."""

import asyncio
from pathlib import Path

import pytest

from components.errors import MissingArtifact
from components.pretraining.config import PretrainingConfig
from tests.workflows.stage_suite import require_inputs_taken, run_in, steps_of
from workflows import pretraining


@pytest.mark.parametrize("step", steps_of(pretraining))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(pretraining, step, tmp_path)


def test_without_a_start_nothing_is_imported(tmp_path: Path) -> None:
    assert asyncio.run(pretraining.obtain_start(run_in(tmp_path), PretrainingConfig())) is None


def test_a_start_that_is_no_model_is_refused_before_any_step(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match="no JSON or safetensors files here"):
        asyncio.run(pretraining.obtain_start(run_in(tmp_path), PretrainingConfig(start=str(tmp_path))))


def test_a_start_is_imported_again_when_its_files_have_changed(tmp_path: Path) -> None:
    facts = []
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    for text in ("{}", "{}", "{ }"):
        (tmp_path / "config.json").write_text(text)
        facts.append(steps_of(pretraining)["start"].facts(pretraining.Start(directory=str(tmp_path))))
    first, same, changed = facts
    assert first == same != changed
