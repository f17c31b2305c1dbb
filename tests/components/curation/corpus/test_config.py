"""Invalid splits and mixtures are refused."""

from typing import Any

import pytest

from components.curation.corpus.config import CorpusConfig
from components.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("validation_share", 0.0),
        ("validation_share", 1.0),
        ("mixture_temperature", 0.0),
        ("max_epochs", 0.0),
        ("max_epochs_by_domain", {"prose": -1.0}),
        ("language_shares", {"prose": {"en": 1.0, "zh": 0.0}}),
        ("language_shares", {"prose": {"en": float("nan")}}),
        ("language_shares", {"prose": {}}),
        ("language_temperature", 0.0),
    ],
)
def test_values_that_mean_nothing_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"CorpusConfig.{field} is .*; allowed: "):
        CorpusConfig(**{field: value})
