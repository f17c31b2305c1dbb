"""Passages are compared across all shards, the first document by rank keeps each, and few runs are written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import interim
from components.curation import PassagesConfig, tables
from components.curation.duplicates.sketches import TextShard
from components.curation.passages import repeated_passages
from components.curation.passages.repeated_passages import (
    gather_grams,
    gather_lines,
    gather_runs,
    indices_in,
    judge_grams,
    judge_passages,
    texts_of,
)
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import passed

CHOSEN = PassagesConfig(min_line_words=2, min_substring_words=4)


def shard_of(directory: Path, number: int, texts: Sequence[str], **fields: Any) -> TextShard:
    """A shard whose quality ranks its documents in reverse; the verdicts remove none."""
    directory = directory / str(number)
    directory.mkdir(parents=True)
    columns = {
        "document": [(number << 32) + row for row in range(len(texts))],
        "id": [f"{16 * number + row:064x}" for row in range(len(texts))],
        "quality": pa.array([1 - (16 * number + 15 - row) / 1000 for row in range(len(texts))], pa.float32()),
        "language": ["en"] * len(texts),
        "text": list(texts),
        **fields,
    }
    pq.write_table(pa.table(columns), directory / "texts.parquet")
    shard = TextShard(number=number, texts=directory / "texts.parquet", directory=directory)
    interim.write(shard.verdicts, tables.VERDICTS.empty_table())
    return shard


def gathered(files: Sequence[Path], output: Path) -> Path:
    """All rows in one partition."""
    (path,) = InProcessShardEngine().exchange(files, key="key", partitions=1, output=output)
    return path


@pytest.mark.parametrize("chunk_bytes", [1, 10**6])
def test_a_line_is_a_row_of_its_chunk_with_the_documents_that_have_it(
    chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeated_passages, "CHUNK_BYTES", chunk_bytes)
    shard = shard_of(tmp_path, 1, ["one two\nsame line\nsame line\n", "short\nsame line\n"])
    rows = passed(gather_lines(shard, config=CHOSEN))
    counted = sorted((row["document"] & 0xFF, row["word"], row["count"]) for row in rows)
    # Together the second document keeps the line, as its rank is lower.
    assert counted == ([(0, 0, 1), (1, 1, 2)] if chunk_bytes > 1 else [(0, 0, 1), (0, 2, 1), (1, 1, 1)])


@pytest.mark.parametrize(("limit", "repeated"), [(1, 3), (2, 3), (3, 0)])
def test_a_line_in_more_documents_than_the_limit_is_repeated_in_each_shard(limit: int, repeated: int, tmp_path: Path) -> None:
    shards = [shard_of(tmp_path, number, [f"own {number}\nthe same\n"]) for number in range(3)]
    lines = [gather_lines(shard, config=CHOSEN) for shard in shards]
    rows = passed(judge_passages(gathered(lines, tmp_path / "lines"), limit=limit))
    assert [(row["part"], row["kept"], row["kept_part"], row["kept_word"]) for row in rows] == [
        (n, 0, 0, 2) for n in range(repeated)
    ]


def test_only_runs_around_a_repeated_gram_are_written_and_no_repeated_run_is_missing(tmp_path: Path) -> None:
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), 400).tolist()
    own = [" ".join(letters[:200]), " ".join(letters[200:])]
    own[1] = own[1][:100] + " x y z w v " + own[1][100:]
    shards = [shard_of(tmp_path, number, [text + " x y z w v"]) for number, text in enumerate(own)]
    grams = gathered([gather_grams(shard, config=CHOSEN) for shard in shards], tmp_path / "grams")
    known = InProcessShardEngine().exchange([judge_grams(grams)], key="part", partitions=2, output=tmp_path / "known")
    runs = [gather_runs((shard, path), config=CHOSEN) for shard, path in zip(shards, known, strict=True)]
    rows = passed(judge_passages(gathered(runs, tmp_path / "runs"), limit=1))
    words = [(text + " x y z w v").split() for text in own]
    first: dict[tuple[str, ...], tuple[int, int]] = {}
    repeated = set()
    for number, text in enumerate(words):
        for word in range(len(text) - 3):
            run = tuple(text[word : word + 4])
            if run in first:
                repeated.add((number, first[run]))
                repeated.add((first[run][0], first[run]))
            first.setdefault(run, (number, word))
    assert {(row["part"], (row["kept_part"], row["kept_word"])) for row in rows} == repeated
    assert sum(map(interim.rows, runs)) < sum(len(text) for text in words) / 2


def test_removed_documents_and_code_have_no_passages(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, 0, ["first text", "second text", "third text"], language=["en", "code", "en"])
    removed = pa.Table.from_pylist(
        [{"document": 0, "kept": 2}, {"document": 2, "kept": -1}], pa.schema({"document": pa.int64(), "kept": pa.int64()})
    )
    interim.write(shard.verdicts, removed)
    for in_code, documents in ((False, [2]), (True, [1, 2])):
        chosen = PassagesConfig(in_code=in_code)
        assert [n for texts in texts_of(shard, chosen) for n in texts.document.tolist()] == documents


def test_a_value_has_its_index_or_none() -> None:
    ordered, values = np.array([2, 5, 9], dtype=np.uint64), np.array([9, 1, 5, 10], dtype=np.uint64)
    assert indices_in(ordered, values).tolist() == [2, -1, 1, -1]
    assert indices_in(ordered[:0], values).tolist() == [-1] * 4
