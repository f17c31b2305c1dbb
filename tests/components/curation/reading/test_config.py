"""Invalid sources, benchmarks and limits are refused."""

from typing import Any

import pytest

from components.curation.reading.config import Benchmark, ReadingConfig, Source
from components.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_bad_lines", -1),
        ("language_model", "none"),
        ("max_document_bytes", 0),
        ("max_read_attempts", 0),
    ],
)
def test_values_that_mean_nothing_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"ReadingConfig.{field} is .*; allowed: "):
        ReadingConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("uri", " "), ("domain", "a/b"), ("weight", 0.0), ("text_field", ""), ("language", "klingon"), ("sample_bytes", 0)],
)
def test_a_source_refuses_values_that_mean_nothing(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"Source.{field} is .*; allowed: "):
        Source(**{"uri": "a.jsonl", "domain": "prose", "weight": 1.0, field: value})


def test_an_environment_has_only_its_three_domains() -> None:
    with pytest.raises(ConfigError, match="allowed: code, prose, maths"):
        Source(uri="python-environment:", domain="web", weight=1.0)


@pytest.mark.parametrize("field", ["name", "uri"])
def test_a_benchmark_has_a_name_and_a_uri(field: str) -> None:
    with pytest.raises(ConfigError, match=f"Benchmark.{field} is ' '; allowed: "):
        Benchmark(**{"name": "a", "uri": "x", field: " "})
