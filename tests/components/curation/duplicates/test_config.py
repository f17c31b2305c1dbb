"""Invalid values of the config of deduplication are refused."""

from typing import Any

import pytest

from components.curation.duplicates.config import DuplicatesConfig
from components.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("near_duplicate_threshold", 0.0),
        ("near_duplicate_threshold", 1.1),
        ("shingle_size", 0),
        ("permutations", 0),
        ("shingle_words", "letters"),
    ],
)
def test_values_that_mean_nothing_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"DuplicatesConfig.{field} is .*; allowed: "):
        DuplicatesConfig(**{field: value})
