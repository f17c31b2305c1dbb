"""EvaluationConfig refuses values that measure nothing."""

import pytest

from components.errors import ConfigError
from components.evaluation.config import EvaluationConfig


def test_the_defaults_are_allowed():
    assert EvaluationConfig().choices == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_bytes_per_domain", 0),
        ("max_items_per_task", 0),
        ("samples", 0),
        ("repetition_prompts", -1),
        ("max_new_tokens", 0),
        ("max_context_characters", 3),
        ("max_answer_characters", 3),
        ("choices", 1),
        ("batch_tokens", 0),
        ("seed", -1),
        ("domain_shares", {"code": 0.5}),
        ("domain_shares", {"code": 1.5, "prose": -0.5}),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"EvaluationConfig.{field}"):
        EvaluationConfig(**{field: value})
