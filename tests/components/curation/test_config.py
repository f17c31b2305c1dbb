"""Bad values die when the config is made, with the field, the value and what is allowed."""

from typing import Any

import pytest

from components.curation import Benchmark, CurationConfig, Source
from components.errors import ConfigError

SOURCE = Source(uri="a.jsonl", domain="prose", weight=1.0)


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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sources", ()),
        ("sources", (SOURCE, SOURCE)),
        ("min_characters", 0),
        ("max_characters", 5),
        ("max_repeated_lines", 1.5),
        ("max_bad_lines", -1),
        ("near_duplicate_threshold", 0.0),
        ("near_duplicate_threshold", 1.1),
        ("shingle_size", 0),
        ("permutations", 0),
        ("validation_share", 0.0),
        ("validation_share", 1.0),
        ("mixture_temperature", 0.0),
        ("max_epochs", 0.0),
        ("max_epochs_by_domain", {"prose": -1.0}),
        ("max_epochs_by_domain", {"code": 1.0}),
        ("language_shares", {"code": {"en": 1.0}}),
        ("language_shares", {"prose": {"en": 1.0, "zh": 0.0}}),
        ("language_shares", {"prose": {"en": float("nan")}}),
        ("language_shares", {"prose": {}}),
        ("language_shares", {"prose": {"fr": 1.0}}),
        ("language_temperature", 0.0),
        ("shard_bytes", 0),
    ],
)
def test_a_config_refuses_values_that_mean_nothing(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"CurationConfig.{field} is .*; allowed: "):
        CurationConfig(**{"sources": (SOURCE,), field: value})


def test_one_environment_may_feed_several_domains() -> None:
    sources = tuple(Source(uri="python-environment:", domain=d, weight=1.0) for d in ("code", "prose", "maths"))
    assert CurationConfig(sources=sources).sources == sources


def test_languages_that_a_model_tells_apart_may_have_shares() -> None:
    shares = {"prose": {"fr": 2.0, "other": 1.0}}
    assert CurationConfig(sources=(SOURCE,), language_model="lid176", language_shares=shares).language_shares == shares


def test_benchmarks_are_told_apart_by_their_names() -> None:
    benchmarks = (Benchmark(name="a", uri="x"), Benchmark(name="a", uri="y"))
    with pytest.raises(ConfigError, match="each name once"):
        CurationConfig(sources=(SOURCE,), benchmarks=benchmarks)
