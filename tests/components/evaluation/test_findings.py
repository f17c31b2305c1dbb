"""The few figures of an evaluation that its step shows."""

import pytest

from components.evaluation.findings import headlines
from tests.components.evaluation.conftest import findings


def test_headlines_are_few_and_flat():
    shown = headlines(findings())
    assert shown["bits_per_byte/dpo"] == pytest.approx(2.1875)
    assert shown["answer-choice/dpo"] == 0.4
    assert shown["repetition_ratio/sft"] == 0.125
