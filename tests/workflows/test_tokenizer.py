"""The steps of the tokenizer's stage."""

from pathlib import Path

import pytest

from tests.workflows.stage_suite import require_inputs_recorded, steps_of
from workflows import tokenizer


@pytest.mark.parametrize("step", steps_of(tokenizer))
def test_a_step_has_its_kind_and_records_all_its_inputs(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_inputs_recorded(tokenizer, step, tmp_path, monkeypatch)
