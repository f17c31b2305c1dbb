"""A config that could refuse all documents, or learn from none, is refused."""

from typing import Any

import pytest

from components.curation.quality.config import QualityConfig
from components.errors import ConfigError


@pytest.mark.parametrize(
    "fields", [{"max_refused_share": 1.0}, {"max_refused_share": -0.1}, {"min_documents": 0}, {"sample_documents": 10}]
)
def test_values_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"QualityConfig.{next(iter(fields))}"):
        QualityConfig(**fields)
