"""Copies are paired with the first document of their text, and documents with the first ones of their bucket."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components import interim
from components.curation import tables
from components.curation.duplicates.candidate_pairs import (
    NEIGHBOURS,
    assign_blocks,
    find_copies,
    find_pairs,
    find_repeats,
    homes_of,
)
from components.curation.duplicates.clusters import judge_repeats
from components.curation.duplicates.sketches import TextShard
from components.curation.tables.reasons import EXACT, NEAR
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import passed


def heads(path: Path, entries: list[tuple[int, int, int, int]], ties: dict[int, int] | None = None) -> Path:
    ends = [
        {"text": t, "check": c, "rank": r, "tie": (ties or {}).get(d, 0), "document": d, "part": 0, "id": f"id-{d}", "group": ""}
        for t, c, r, d in entries
    ]
    table = pa.Table.from_pylist(ends, tables.HEADS)
    return interim.write(path, table.sort_by([(name, "ascending") for name in table.column_names]))


def test_copies_pair_with_the_first_by_rank_and_half_a_hash_is_not_enough(tmp_path: Path) -> None:
    edges, copies = find_copies(
        heads(tmp_path / "h.arrow", [(7, 1, 9, 1), (7, 1, 3, 2), (7, 1, 5, 3), (7, 2, 1, 4), (8, 1, 1, 5)])
    )
    assert [(row["left_document"], row["right_document"], row["similarity"], row["copy"]) for row in passed(edges)] == [
        (2, 3, 1.0, True),
        (2, 1, 1.0, True),
    ]
    assert [row["document"] for row in passed(copies)] == [3, 1]


def test_copies_of_one_rank_pair_with_the_one_of_the_lowest_tie_and_not_with_the_first_that_was_read(tmp_path: Path) -> None:
    entries, ties = [(7, 1, 3, 1), (7, 1, 3, 2), (7, 1, 3, 3)], {1: 9, 2: 8, 3: 5}
    edges, _ = find_copies(heads(tmp_path / "h.arrow", entries, ties))
    assert [(row["left_document"], row["right_document"]) for row in passed(edges)] == [(3, 2), (3, 1)]
    assert [row["document"] for row in passed(find_repeats(shard_of(tmp_path, entries, ties)))] == [3]


def shard_of(directory: Path, entries: list[tuple[int, int, int, int]], ties: dict[int, int] | None = None) -> TextShard:
    shard = TextShard(number=0, texts=directory / "texts.parquet", directory=directory)
    table = interim.read(heads(directory / "sorted.arrow", entries, ties)).sort_by("document")
    interim.write(shard.heads, table)
    return shard


def test_of_each_text_of_a_shard_the_first_by_rank_meets_others(tmp_path: Path) -> None:
    mine = shard_of(
        tmp_path, [(7, 1, 9, 1), (7, 1, 3, 2), (7, 2, 1, 3), *((8, 1, 50 - number, number) for number in range(4, 44))]
    )
    assert [row["document"] for row in passed(find_repeats(mine))] == [2, 3, 43]
    repeats = {row["document"]: (row["id"], row["original"], row["original_id"]) for row in passed(mine.repeats)}
    assert repeats == {1: ("id-1", 2, "id-2")} | {number: (f"id-{number}", 43, "id-43") for number in range(4, 43)}


def test_a_repeat_is_removed_for_its_original_or_for_what_that_is(tmp_path: Path) -> None:
    mine = shard_of(tmp_path, [(7, 1, 1, 1), (7, 1, 2, 2), (8, 1, 3, 3), (8, 1, 4, 4), (9, 1, 5, 5), (9, 1, 6, 6), (9, 1, 7, 7)])
    find_repeats(mine)
    judged = [
        {"document": 3, "part": 0, "kept": 90, "similarity": 0.9, "reason": NEAR, "group": "", "id": "id-3", "kept_id": "id-90"},
        {"document": 5, "part": 0, "kept": -1, "similarity": None, "reason": "", "group": "id-5", "id": "id-5", "kept_id": ""},
    ]
    judge_repeats((mine, interim.write(tmp_path / "judged.arrow", pa.Table.from_pylist(judged[::-1], tables.VERDICTS))))
    removed = {row["document"]: row for row in passed(mine.verdicts)}
    assert removed.keys() == {2, 3, 4, 5, 6, 7}
    fates = {
        number: tuple(removed[number][name] for name in ("kept", "similarity", "reason", "id", "kept_id")) for number in removed
    }
    assert fates[2] == (1, 1.0, EXACT, "id-2", "id-1")
    assert fates[4] == (90, 0.9, NEAR, "id-4", "id-90")
    assert fates[6] == (5, 1.0, EXACT, "id-6", "id-5")


def pairs(path: Path, keyed: list[tuple[int, int, int]], blocks: int = 1) -> set[tuple[int, int]]:
    ordered = sorted(keyed)
    columns = [pa.array([entry[index] for entry in ordered], field.type) for index, field in enumerate(tables.BANDS)]
    bands = interim.write(path, pa.table(columns, schema=tables.BANDS))
    candidates = find_pairs(bands, firsts=np.array([0, 100]))
    (met,) = InProcessShardEngine().exchange([candidates], key="left", partitions=1, output=path.with_suffix(".met"))
    assigned, needs = assign_blocks(met, firsts=np.array([0, 100]), blocks=blocks)
    needed = {(row["part"], row["block"], row["document"]) for row in passed(needs)}
    listed = passed(assigned)
    assert needed == {(int(row[end] >= 100), row["block"], row[end]) for row in listed for end in ("left", "right")}
    assert len(needed) == len(passed(needs))
    return {(row["left"], row["right"]) for row in listed}


@pytest.mark.parametrize("count", [1, 2, NEIGHBOURS, NEIGHBOURS + 1, NEIGHBOURS + 30])
def test_a_large_bucket_compares_each_with_the_first_only(tmp_path: Path, count: int) -> None:
    candidates = pairs(tmp_path / "b.arrow", [(42, rank, 150 - rank) for rank in range(count)])
    assert candidates == {(150 - first, 150 - second) for second in range(count) for first in range(min(second, NEIGHBOURS))}


def test_a_pair_of_many_buckets_is_one_and_an_empty_partition_has_none(tmp_path: Path) -> None:
    assert pairs(tmp_path / "b.arrow", [(key, document, document) for key in range(9) for document in (3, 5)], 4) == {(3, 5)}
    assert pairs(tmp_path / "c.arrow", []) == set()


def test_a_pair_of_several_partitions_is_measured_in_the_lowest_of_its_homes_alone(tmp_path: Path) -> None:
    rows = {"left": [3, 3, 3, 4], "right": [5, 5, 5, 5], "home": [26, 12, 40, 9]}
    table = pa.table(rows, schema=tables.CANDIDATES)
    files = [interim.write(tmp_path / f"{row}.candidates", table.slice(row, 1)) for row in range(4)]
    (met,) = InProcessShardEngine().exchange(files, key="left", partitions=1, output=tmp_path / "met")
    assigned, needs = assign_blocks(met, firsts=np.array([0]), blocks=10)
    assert [tuple(row.values()) for row in passed(assigned)] == [(3, 5, 2), (4, 5, 9)]
    assert {(row["document"], row["block"]) for row in passed(needs)} == {(3, 2), (5, 2), (4, 9), (5, 9)}


def test_what_one_document_brings_together_is_spread_by_shard() -> None:
    first, shard = np.full(1000, 7), np.arange(1000)
    assert len(set((homes_of(first, shard) % 16).tolist())) == 16
    assert len(set(homes_of(first, np.full(1000, 3)).tolist())) == 1
