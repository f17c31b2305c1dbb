"""A corpus with one more source is what it would be from scratch, and only what is new is read and hashed."""

import hashlib
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.curation import Benchmark, CurationConfig, Source
from components.curation.curate import curate
from components.curation.duplicates.shard_cache import GLOBAL, read_shard
from components.curation.extraction.extract import shards_of
from components.curation.reading.sources import list_files
from components.ports import InProcessShardEngine, RecordedMetrics, ShardEngine
from tests import processes
from tests.components.curation.conftest import config, prose, rows, source, write_jsonl
from tests.components.curation.duplicates.test_deduplication import shifted

pytestmark = pytest.mark.long

SIZE = 8
"""Documents of a source."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative URIs: ids, which decide what is kept, are the same every time."""
    monkeypatch.chdir(tmp_path)


def chains(number: int) -> list[str]:
    """Of each chain the member `number`: similar to that of the source before and after it, and to no other."""
    return [shifted(20 * number).replace("word", chr(97 + chain) * 3) for chain in range(SIZE)]


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
    """Curate; the hashes of the corpus, its figures, and how many documents were read and hashed."""
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
    passages = {"duplicate_passages": ("line", "substring"), "shard_bytes": 100_000}
    *_, first = made("first", config(*sources("a", "b", "d", "e"), **passages))
    assert first == work(4 * SIZE)
    kept = hashes(Path("index"))
    more = config(*sources(*order), **passages)
    corpus, figures, second = made("second", more)
    assert second == work(SIZE)
    assert (corpus, figures, work(5 * SIZE)) == made("scratch", more, index=None)
    assert kept.items() <= hashes(Path("index")).items()
    # Of the clusters, some have another kept document now, and some a document back that was similar to what is removed now.
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
    asked = replace(chosen, benchmarks=(Benchmark(name="quiz", uri="quiz.jsonl"),))
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
    "near_duplicate_threshold": 0.5,
    "shingle_size": 3,
    "shingle_words": "whitespace",
    "permutations": 64,
    "keep_shards": False,
    "validation_share": 0.4,
    "mixture_temperature": 3.0,
    "max_epochs": 9.0,
    "max_epochs_by_domain": {"prose": 2.0},
    "language_shares": {"prose": {"en": 1.0}},
    "language_temperature": 3.0,
    "duplicate_passages": ("line",),
    "passage_action": "mask",
    "passages_in_code": True,
    "min_line_words": 3,
    "max_line_documents": 2,
    "min_substring_words": 9,
}


def test_no_field_that_the_key_leaves_out_changes_what_a_shard_comes_to() -> None:
    assert {*OTHER, "sources"} == set(GLOBAL)
    chosen = config(*sources("a"))
    tables = []
    for number, changes in enumerate([{}, *({name: value} for name, value in OTHER.items())]):
        changed = replace(chosen, **changes)
        (shard,) = shards_of(list_files(changed).files, changed, Path(f"scratch-{number}"))
        read_shard(shard, index=None)
        tables.append({path.name: path.read_bytes() for path in Path(shard.directory).glob("*.parquet")})
    assert all(table == tables[0] for table in tables)


class DyingEngine(InProcessShardEngine):
    """Is killed after half of the hashing."""

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
