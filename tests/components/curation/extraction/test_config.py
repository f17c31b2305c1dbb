"""The config that a shard is read with."""

from components.curation import Benchmark
from tests.components.curation.conftest import config, source

CHOSEN = config(
    source("a"),
    samples=9,
    seed=7,
    flagged_words={"en": "ldnoobw"},
    benchmarks=(Benchmark(name="quiz", uri="x"),),
    max_bad_lines=3,
).extraction


def test_other_sources_are_read_by_the_same_rules() -> None:
    other = CHOSEN.of((source("b"),))
    assert other.reading.sources == (source("b"),)
    assert other.of(CHOSEN.reading.sources) == CHOSEN


def test_references_are_filtered_like_sources_but_neither_decontaminated_nor_shown() -> None:
    references = CHOSEN.of_references((source("b"),))
    assert (references.filtering.benchmarks, references.filtering.flagged_words, references.samples) == ((), {}, 0)
    assert references.filtering.min_characters == CHOSEN.filtering.min_characters
    assert (references.reading.limits, references.reading.seed) == (CHOSEN.reading.limits, 7)
