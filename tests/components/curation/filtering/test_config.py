"""Invalid values of the config of filtering are refused."""

from typing import Any

import pytest

from components.curation.filtering.config import FilteringConfig
from components.curation.reading.config import Benchmark
from components.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_characters", 0),
        ("max_characters", 5),
        ("max_repeated_lines", 1.5),
        ("benchmark_gram", 0),
        ("heuristics", ("gopher",)),
        ("heuristic_thresholds", {"gopher": 1.0}),
        ("max_flagged_words_ratio", 0.0),
        ("min_flagged_words", 0),
        ("personal_data", ("name",)),
    ],
)
def test_values_that_mean_nothing_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"FilteringConfig.{field} is .*; allowed: "):
        FilteringConfig(**{field: value})


def test_benchmarks_are_told_apart_by_their_names() -> None:
    benchmarks = (Benchmark(name="a", uri="x"), Benchmark(name="a", uri="y"))
    with pytest.raises(ConfigError, match="each name once"):
        FilteringConfig(benchmarks=benchmarks)
