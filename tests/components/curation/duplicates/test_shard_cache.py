"""After adding a source, the corpus is the same as without the cache, and only the new source is read and hashed."""

import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from components.curation import Benchmark, CurationConfig, Source
from components.curation.curate import curate
from components.curation.duplicates.shard_cache import shard_key, sketch_key
from components.curation.extraction.config import Extraction
from components.curation.extraction.extract import ExtractionShard
from components.curation.reading.config import Reading
from components.extensions import Extension
from components.ports import InProcessShardEngine, RecordedMetrics, ShardEngine
from tests import processes
from tests.components.curation.conftest import changed, config, listed, planned_shards, prose, rows, source, write_jsonl
from tests.components.curation.duplicates.test_deduplication import shifted

pytestmark = pytest.mark.long

SIZE = 8
"""Number of documents of a source."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a temporary directory, so that URIs are short relative paths."""
    monkeypatch.chdir(tmp_path)


def chains(number: int) -> list[str]:
    """Member `number` of each chain; it is similar only to the members of the previous and the next source."""
    return [shifted(20 * number).replace("word", chr(103 + chain) * 3) for chain in range(SIZE)]


def sources(*names: str) -> tuple[Source, ...]:
    """Sources of members of chains; `c` lies between `a` and `e`."""
    for name in names:
        write_jsonl(Path(f"{name}.jsonl"), chains("abcdefg".index(name)))
    return tuple(source(f"{name}.jsonl") for name in names)


def hashes(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def made(
    directory: str, chosen: CurationConfig, index: str | None = "index", engine: ShardEngine | None = None
) -> tuple[dict[str, str], dict[str, Any], dict[str, float]]:
    """Curate, and return the hashes of the corpus, its figures, and how many documents were read and hashed."""
    output, scratch, metrics = Path(directory, "corpus").absolute(), Path(directory, "scratch").absolute(), RecordedMetrics()
    output.mkdir(parents=True)
    kept = Path(index).absolute() if index else None
    engine = engine or InProcessShardEngine()
    figures = curate(chosen, output=output, scratch=scratch, engine=engine, metrics=metrics, index=kept)
    return hashes(output), figures, metrics.values[0]


def work(read: int, hashed: int | None = None) -> dict[str, float]:
    return {"documents_read": read, "documents_hashed": read if hashed is None else hashed}


@pytest.mark.parametrize("order", [("a", "b", "d", "e", "c"), ("c", "a", "b", "d", "e")])
def test_one_more_source_gives_what_starting_over_gives_and_is_read_alone(order: Sequence[str]) -> None:
    passages = {"kinds": ("line", "substring"), "shard_bytes": 100_000}
    *_, first = made("first", config(*sources("a", "b", "d", "e"), **passages))
    assert first == work(4 * SIZE)
    kept = hashes(Path("index"))
    more = config(*sources(*order), **passages)
    corpus, figures, second = made("second", more)
    assert second == work(SIZE)
    assert (corpus, figures, work(5 * SIZE)) == made("scratch", more, index=None)
    assert kept.items() <= hashes(Path("index")).items()
    # Some clusters keep another document now; in some, a document is kept again because the one it resembled is removed.
    removed = [
        {row["removed"]: row["kept"] for row in rows(Path(name, "corpus/removed.parquet"))} for name in ("first", "second")
    ]
    assert any(kept in removed[1] for kept in removed[0].values())
    assert any(row not in removed[1] for row in removed[0])


def test_a_source_of_a_users_own_beside_an_environment_is_read_alone() -> None:
    installed = source("python-environment:", "code", distributions=("attrs", "packaging"))
    *_, first = made("first", config(installed))
    more = config(installed, *sources("a"))
    corpus, figures, second = made("second", more)
    assert second == work(SIZE)
    assert (corpus, figures) == made("scratch", more, index=None)[:2]
    assert first["documents_read"] > SIZE


def test_a_source_less_reads_nothing() -> None:
    made("first", config(*sources("a", "b")))
    fewer = config(*sources("b"))
    corpus, figures, second = made("second", fewer)
    assert second == work(0)
    assert (corpus, figures) == made("scratch", fewer, index=None)[:2]


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, float]]] = {
    "another weight": ({"weight": 2.0}, {}, work(0)),
    "another split and mixture": ({}, {"validation_share": 0.3, "mixture_temperature": 2.0}, work(0)),
    "another limit of a filter": ({}, {"min_characters": 21}, work(SIZE)),
    "another language": ({"language": "en"}, {}, work(SIZE)),
    "another licence": ({"licence": "MIT"}, {}, work(SIZE)),
    "another threshold": ({}, {"near_duplicate_threshold": 0.7}, work(0, SIZE)),
    "another rule": ({}, {"heuristics": ("starcoder",)}, work(SIZE)),
    "nothing kept": ({}, {"keep_shards": False}, work(SIZE)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_decides_a_shard_is_read_again_when_it_changed(change: str) -> None:
    of_source, of_config, expected = CHANGES[change]
    (plain,) = sources("a")
    made("first", config(plain))
    changed = config(replace(plain, **of_source), **of_config)
    corpus, figures, second = made("second", changed)
    assert second["documents_read"] == expected["documents_read"]
    assert second["documents_hashed"] == min(expected["documents_hashed"], figures["kept_documents"])
    assert (corpus, figures) == made("scratch", changed, index=None)[:2]


def test_a_file_that_changed_is_read_again_and_so_is_what_meets_other_benchmarks() -> None:
    chosen = config(*sources("a"))
    made("first", chosen)
    write_jsonl(Path("a.jsonl"), [prose(number) for number in range(SIZE)])
    *_, second = made("second", chosen)
    assert second == work(SIZE)
    write_jsonl(Path("quiz.jsonl"), [prose(3)])
    asked = changed(chosen, benchmarks=(Benchmark(name="quiz", uri="quiz.jsonl"),))
    _, figures, third = made("third", asked)
    assert (third, figures["not_kept"]) == (work(SIZE, SIZE - 1), {"contaminated": 1})
    write_jsonl(Path("quiz.jsonl"), [prose(4), prose(5)])
    _, figures, fourth = made("fourth", asked)
    assert (fourth, figures["not_kept"]) == (work(SIZE, SIZE - 2), {"contaminated": 2})


def test_a_shard_with_a_file_set_aside_is_tried_again() -> None:
    Path("web").mkdir()
    write_jsonl(Path("web/a.jsonl"), chains(0))
    Path("web/b.parquet").write_bytes(b"PAR1 nothing that could be read")
    for directory in ("first", "second"):
        _, figures, done = made(directory, config(source("web"), shard_bytes=100_000))
        assert (figures["set_aside_files"], done) == (1, work(SIZE))


OTHER: dict[str, Any] = {
    "sources": (source("a.jsonl"), source("b.jsonl")),
    "reading.language_model": "lid176",
    "reading.max_bad_lines": 7,
    "reading.max_document_bytes": 777,
    "reading.max_read_attempts": 7,
    "filtering.min_characters": 21,
    "filtering.max_characters": 777,
    "filtering.max_repeated_lines": 0.7,
    "filtering.heuristics": ("starcoder",),
    "filtering.heuristic_thresholds": {"zh:gopher-few-words": 60},
    "filtering.filters": (Extension(code="filters.py:NoAds"),),
    "filtering.personal_data": ("email",),
    "filtering.flagged_words": {"en": "ldnoobw"},
    "filtering.max_flagged_words_ratio": 0.7,
    "filtering.min_flagged_words": 7,
    "filtering.benchmarks": (Benchmark(name="quiz", uri="quiz.jsonl"),),
    "filtering.benchmark_gram": 7,
    "quality.references": (source("reference.jsonl"),),
    "quality.max_refused_share": 0.7,
    "quality.sample_documents": 777,
    "quality.min_documents": 7,
    "duplicates.near_duplicate_threshold": 0.5,
    "duplicates.shingle_size": 3,
    "duplicates.shingle_words": "whitespace",
    "duplicates.permutations": 64,
    "passages.kinds": ("line",),
    "passages.action": "mask",
    "passages.in_code": True,
    "passages.min_line_words": 3,
    "passages.max_line_documents": 2,
    "passages.min_substring_words": 9,
    "corpus.validation_share": 0.4,
    "corpus.mixture_temperature": 3.0,
    "corpus.max_epochs": 9.0,
    "corpus.max_epochs_by_domain": {"prose": 2.0},
    "corpus.language_shares": {"prose": {"en": 1.0}},
    "corpus.language_temperature": 3.0,
    "samples": 7,
    "audited_removals": 7,
    "shard_bytes": 777,
    "keep_shards": False,
    "seed": 7,
}
"""A different value for every field of the config."""

READ = {field.name for kind in (Extraction, Reading) for field in fields(kind)} - {"sources", "limits"}
"""Fields and sections of the config that reading a shard depends on: exactly those that a shard is given."""


def of_own(kind: type, prefix: str = "") -> Iterator[str]:
    """The dotted names of the fields of a config and of its sections."""
    for field in fields(kind):
        if is_dataclass(field.default_factory):
            yield from of_own(field.default_factory, f"{field.name}.")
        else:
            yield prefix + field.name


def test_every_field_of_the_config_has_another_value_here() -> None:
    assert [*OTHER] == [*of_own(CurationConfig)]
    assert {"reading", "filtering", "samples", "shard_bytes", "seed"} == READ


@pytest.mark.parametrize("name", OTHER)
def test_the_key_of_a_shard_covers_the_fields_that_a_shard_is_given_and_no_other(name: str) -> None:
    section, _, inner = name.rpartition(".")
    plain = config(*sources("a"))
    write_jsonl(Path("b.jsonl"), [])
    other = replace(
        plain, **{section: replace(getattr(plain, section), **{inner: OTHER[name]})} if section else {inner: OTHER[name]}
    )
    assert other != plain
    Path("scratch").mkdir()
    keys, hashed = [], []
    for chosen in (plain, other):
        shard = ExtractionShard(number=0, files=listed(plain).files, config=chosen.extraction, directory="scratch/00000", run="")
        keys.append(shard_key(shard))
        hashed.append(sketch_key("key", "texts-00000.parquet", chosen.duplicates))
    # Word lists are hashed as written beside the shards, wherever they were read from.
    assert (keys[0] != keys[1]) == (name.partition(".")[0] in READ and name != "filtering.flagged_words")
    assert (hashed[0] != hashed[1]) == (section == "duplicates")


@pytest.mark.parametrize("name", [field.name for field in fields(Source)])
def test_the_key_of_a_shard_covers_its_sources_but_for_their_weights(name: str) -> None:
    values: dict[str, Any] = {
        "uri": "b.jsonl",
        "domain": "web",
        "weight": 2.0,
        "language": "en",
        "sample_bytes": 10,
        "distributions": ("attrs",),
    }
    values |= {"reader": Extension(code="readers.py:Lines"), "suffixes": (".jsonl",)}
    plain = config(*(replace(own, reader=values["reader"] if name == "suffixes" else None) for own in sources("a")))
    other = replace(plain, sources=(replace(plain.sources[0], **{name: values.get(name, "other")}),))
    write_jsonl(Path("b.jsonl"), chains(0))
    Path("scratch").mkdir()
    keys = [shard_key(shard) for chosen in (plain, other) for shard in planned_shards(chosen, Path("scratch"))]
    assert (keys[0] != keys[1]) == (name != "weight")


class DyingEngine(InProcessShardEngine):
    """Is killed after half of the shards are hashed."""

    def map_shards(self, work: Any, shards: Sequence[Any], *, description: str, **options: Any) -> list[Any]:
        """Work, or die."""
        if description == "hash documents":
            super().map_shards(work, shards[: len(shards) // 2], description=description)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().map_shards(work, shards, description=description, **options)


def test_a_killed_run_goes_on_with_what_the_index_gave_it() -> None:
    made("first", config(*sources("a", "b")))
    more = config(*sources("c", "a", "b", "d"))
    process = processes.started(made, str(Path("second").absolute()), more, str(Path("index").absolute()), DyingEngine())
    process.join()
    assert process.exitcode == -signal.SIGKILL
    Path("second/corpus").rename("second/left")
    corpus, figures, done = made("second", more)
    assert done["documents_read"] == 0
    assert (corpus, figures) == made("scratch", more, index=None)[:2]
