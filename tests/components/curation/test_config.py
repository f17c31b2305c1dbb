"""Invalid values are refused when the config is created, with the field, the value and what is allowed."""

from dataclasses import replace
from typing import Any

import pytest

from components.curation import Benchmark, CorpusConfig, CurationConfig, FilteringConfig, QualityConfig, ReadingConfig, Source
from components.decides import deciding
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


@pytest.mark.parametrize(
    ("uri", "domain", "name"),
    [
        ("a.jsonl", "web", "web-jsonl"),
        ("s3://crawl/2026/c4.json.gz", "web", "web-jsonl"),
        ("/data/crawl.warc.zst", "web-zh", "web-zh-warc"),
        ("books/", "prose", "prose-files"),
        ("python-environment:", "code", "code-python-environment"),
    ],
)
def test_a_source_without_a_name_is_named_by_domain_and_kind_wherever_it_lies(uri: str, domain: str, name: str) -> None:
    assert Source(uri=uri, domain=domain, weight=1.0).name == name
    assert Source(uri=uri, domain=domain, weight=1.0, name="mine").name == "mine"


@pytest.mark.parametrize("name", ["a/b", "../a", ".a", "a b", "a#1", "a\n"])
def test_a_name_is_safe_in_ids_and_as_a_file(name: str) -> None:
    with pytest.raises(ConfigError, match=r"Source\.name is .*; allowed: letters, digits"):
        Source(uri="a", domain="web", weight=1.0, name=name)


def test_two_sources_of_one_name_are_refused_with_the_line_to_write() -> None:
    twins = tuple(Source(uri=uri, domain="web", weight=1.0) for uri in ("old/crawl.jsonl", "new/crawl.jsonl"))
    for made in (lambda: CurationConfig(sources=twins), lambda: QualityConfig(references=twins)):
        with pytest.raises(ConfigError, match=r"each name once, .* Source\(name='crawl', uri='new/crawl.jsonl', domain='web'"):
            made()
    named = (twins[0], replace(twins[1], name="crawl"))
    assert [source.name for source in CurationConfig(sources=named).sources] == ["web-jsonl", "crawl"]


def test_where_a_source_lies_decides_nothing() -> None:
    here, there = (
        CurationConfig(
            sources=(Source(uri=f"{root}/web", domain="web", weight=1.0),),
            quality=QualityConfig(references=(Source(uri=f"{root}/wiki", domain="wiki", weight=1.0),)),
            filtering=FilteringConfig(
                benchmarks=(Benchmark(name="arc", uri=f"{root}/arc"),), flagged_words={"en": f"{root}/words.txt"}
            ),
        )
        for root in ("/data", "s3://bucket")
    )
    assert deciding(here) == deciding(there)
    assert "/data" not in str(deciding(here))


def test_languages_that_a_model_tells_apart_may_have_shares() -> None:
    shares = {"prose": {"fr": 2.0, "other": 1.0}}
    corpus = CorpusConfig(language_shares=shares)
    assert CurationConfig(sources=(SOURCE,), reading=ReadingConfig(language_model="lid176"), corpus=corpus).corpus == corpus
