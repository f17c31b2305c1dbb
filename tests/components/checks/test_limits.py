"""Limits refuse what makes no sense, with the field, the value and what is allowed."""

from typing import Any

import pytest

from components.checks import limits
from components.checks.limits import CheckLimits
from components.errors import ConfigError

REFUSED = [
    (limits.CorpusLimits, "median_bytes", (5.0, 1.0)),
    (limits.CorpusLimits, "domain_share", (0.0, 1.0)),
    (limits.CorpusLimits, "longest_bytes", 0),
    (limits.CorpusLimits, "validation_documents", 0),
    (limits.CorpusLimits, "refused_share", 1.5),
    (limits.CorpusLimits, "duplicate_shares", {"folder:a (web)": 1.5}),
    (limits.CorpusLimits, "cluster_documents", 0),
    (limits.TokenShardsLimits, "bytes_per_token", (0.0, 1.0)),
    (limits.TokenShardsLimits, "round_trip_failures", -1),
    (limits.TokenShardsLimits, "split_tokens", 0),
    (limits.PlanLimits, "warmup_share", -0.1),
    (limits.PlanLimits, "learning_rate", 0.0),
    (limits.PlanLimits, "memory_bytes", 0),
    (limits.PlanLimits, "law_ratio", 0.5),
    (limits.ConversationsLimits, "split_conversations", 0),
    (limits.ConversationsLimits, "longest_characters", 0),
    (limits.ConversationsLimits, "median_answer_characters", (9.0, 8.0)),
    (limits.PreferencePairsLimits, "split_pairs", 0),
    (limits.PreferencePairsLimits, "equal_length_share", 2.0),
    (limits.PreferencePairsLimits, "length_ratio", (0.0, 5.0)),
    (limits.TrainingLimits, "not_finite_steps", -1),
    (limits.TrainingLimits, "gradient_norm", 0.0),
    (limits.TrainingLimits, "loss_ratio", 0.0),
    (limits.TrainingLimits, "mixture_deviation", -0.1),
    (limits.EvaluationLimits, "models", ()),
    (limits.EvaluationLimits, "bits_per_byte", (0.0, 8.0)),
    (limits.EvaluationLimits, "domain_documents", 0),
    (limits.EvaluationLimits, "document_bytes", 0),
    (limits.EvaluationLimits, "task_items", 0),
]


@pytest.mark.parametrize(("kind", "field", "value"), REFUSED)
def test_a_senseless_limit_is_refused_by_name(kind: type, field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{kind.__name__}\.{field} is .*; allowed: "):
        kind(**{field: value})


def test_every_check_has_its_limits_in_one_value() -> None:
    names = [name for name in dir(limits) if name.endswith("Limits") and name != "CheckLimits"]
    assert sorted(names) == sorted(type(getattr(CheckLimits(), field)).__name__ for field in CheckLimits.__dataclass_fields__)
