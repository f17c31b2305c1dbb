"""Invalid limits are refused with the field, the value and what is allowed."""

import re
from dataclasses import fields
from typing import Any

import pytest

from components.checks import limits
from components.checks.limits import CheckLimits
from components.errors import ConfigError
from tests.paths import ROOT

REFUSED = [
    (limits.CorpusLimits, "min_median_bytes", 60_000.0),
    (limits.CorpusLimits, "min_domain_share", 0.0),
    (limits.CorpusLimits, "max_document_bytes", 0),
    (limits.CorpusLimits, "min_validation_documents", 0),
    (limits.CorpusLimits, "max_refused_share", 1.5),
    (limits.CorpusLimits, "max_duplicate_share_by_source", {"folder:a (web)": 1.5}),
    (limits.CorpusLimits, "min_cluster_documents", 0),
    (limits.TokenShardsLimits, "min_bytes_per_token", 0.0),
    (limits.TokenShardsLimits, "max_round_trip_failures", -1),
    (limits.TokenShardsLimits, "min_tokens_per_split", 0),
    (limits.PlanLimits, "max_warmup_share", -0.1),
    (limits.PlanLimits, "max_learning_rate", 0.0),
    (limits.PlanLimits, "max_memory_bytes", 0),
    (limits.PlanLimits, "max_law_ratio", 0.5),
    (limits.ConversationsLimits, "min_conversations_per_split", 0),
    (limits.ConversationsLimits, "max_characters_per_role", 0),
    (limits.ConversationsLimits, "min_median_answer_characters", 9_000.0),
    (limits.PreferencePairsLimits, "min_pairs_per_split", 0),
    (limits.PreferencePairsLimits, "max_equal_length_share", 2.0),
    (limits.PreferencePairsLimits, "min_length_ratio", 0.0),
    (limits.DPOLimits, "max_not_finite_steps", -1),
    (limits.DPOLimits, "max_gradient_norm", 0.0),
    (limits.DPOLimits, "max_loss_ratio", 0.0),
    (limits.PretrainingLimits, "max_mixture_deviation", -0.1),
    (limits.SFTLimits, "max_worse_measures", -1),
    (limits.DPOLimits, "max_omitted_share", 1.1),
    (limits.EvaluationLimits, "min_models", ()),
    (limits.EvaluationLimits, "min_bits_per_byte", 0.0),
    (limits.EvaluationLimits, "min_documents_per_domain", 0),
    (limits.EvaluationLimits, "min_document_bytes", 0),
    (limits.EvaluationLimits, "min_items_per_task", 0),
]


@pytest.mark.parametrize(("kind", "field", "value"), REFUSED)
def test_a_senseless_limit_is_refused_by_name(kind: type, field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{kind.__name__}\.{field} is .*; allowed: "):
        kind(**{field: value})


def test_the_ends_of_a_range_are_held_against_each_other() -> None:
    with pytest.raises(
        ConfigError, match=r"min_length_ratio is 0\.2; allowed: a positive number up to max_length_ratio \(0\.1\)"
    ):
        limits.PreferencePairsLimits(max_length_ratio=0.1)
    assert limits.PreferencePairsLimits(min_length_ratio=5.0).max_length_ratio == 5.0


def test_every_check_has_its_limits_in_one_value() -> None:
    shared = {"CheckLimits", "TrainingLimits", "TuningLimits"}
    names = [name for name in dir(limits) if name.endswith("Limits") and name not in shared]
    assert sorted(names) == sorted(type(getattr(CheckLimits(), field)).__name__ for field in CheckLimits.__dataclass_fields__)


def test_every_limit_is_named_by_the_rules_that_it_sets() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "components/checks").glob("*.py")]
    named = {name for text in sources for name in re.findall(r'"((?:min|max)_\w+)"', text)}
    sections = [type(getattr(limits.CheckLimits(), field.name)) for field in fields(limits.CheckLimits)]
    unnamed = {field.name for section in sections for field in fields(section)} - named
    assert unnamed == {"own_checks", "min_baselines"}
