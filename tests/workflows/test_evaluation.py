"""The steps of evaluation."""

from pathlib import Path

import pytest

from tests.workflows.stage_suite import require_inputs_taken, steps_of
from workflows import evaluation


@pytest.mark.parametrize("step", steps_of(evaluation))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(evaluation, step, tmp_path)
