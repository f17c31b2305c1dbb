"""The steps of the tokenizer's stage."""

from pathlib import Path

import pytest

from tests.workflows.stage_suite import require_inputs_taken, steps_of
from workflows import tokenizer


@pytest.mark.parametrize("step", steps_of(tokenizer))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(tokenizer, step, tmp_path)
