"""Invalid values of the config of passages are refused."""

from typing import Any

import pytest

from components.curation.passages.config import PassagesConfig
from components.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("action", "hide"),
        ("kinds", ("sentence",)),
        ("max_line_documents", 0),
        ("min_line_words", 0),
        ("min_substring_words", 1),
    ],
)
def test_values_that_mean_nothing_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"PassagesConfig.{field} is .*; allowed: "):
        PassagesConfig(**{field: value})
