"""Bad values die when the config is made, with the field, the value and what is allowed."""

from typing import Any

import pytest

from components.curation import (
    CorpusConfig,
    CurationConfig,
    ReadingConfig,
    Source,
)
from components.errors import ConfigError

SOURCE = Source(uri="a.jsonl", domain="prose", weight=1.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sources", ()),
        ("sources", (SOURCE, SOURCE)),
        ("audited_removals", 0),
        ("samples", -1),
        ("shard_bytes", 0),
    ],
)
def test_a_config_refuses_values_that_mean_nothing(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"CurationConfig.{field} is .*; allowed: "):
        CurationConfig(**{"sources": (SOURCE,), field: value})


@pytest.mark.parametrize(
    "corpus",
    [
        {"max_epochs_by_domain": {"code": 1.0}},
        {"language_shares": {"code": {"en": 1.0}}},
        {"language_shares": {"prose": {"fr": 1.0}}},
    ],
)
def test_a_mixture_speaks_of_domains_and_languages_that_the_sources_can_have(corpus: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"CurationConfig.corpus.{next(iter(corpus))} is .*; allowed: "):
        CurationConfig(sources=(SOURCE,), corpus=CorpusConfig(**corpus))


def test_one_environment_may_feed_several_domains() -> None:
    sources = tuple(Source(uri="python-environment:", domain=d, weight=1.0) for d in ("code", "prose", "maths"))
    assert CurationConfig(sources=sources).sources == sources


def test_languages_that_a_model_tells_apart_may_have_shares() -> None:
    shares = {"prose": {"fr": 2.0, "other": 1.0}}
    corpus = CorpusConfig(language_shares=shares)
    assert CurationConfig(sources=(SOURCE,), reading=ReadingConfig(language_model="lid176"), corpus=corpus).corpus == corpus
