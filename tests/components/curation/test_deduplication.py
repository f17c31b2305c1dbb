"""Copies and near copies go, everything removed has its evidence, and similarity is not passed on."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.curation import tables
from components.curation.deduplication import EXACT, NEAR, NEIGHBOURS, connected, find_pairs, judge, with_exact
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl

WORDS = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)} of the" for i in range(300)]
"""Consecutive runs of it overlap, so their similarity is known."""


def shifted(start: int, length: int = 200) -> str:
    return " ".join(WORDS[start : start + length])


def member(number: int, shingles: range, group: str = "") -> dict[str, Any]:
    packed = np.array(shingles, dtype=np.uint64).tobytes()
    return {"document": number, "id": f"id-{number}", "group": group, "shingles": packed}


def verdicts(members: list[dict[str, Any]], pairs: list[tuple[int, int]]) -> dict[int, tuple[int, str, str]]:
    return {v["document"]: (v["kept"], v["reason"], v["group"]) for v in judge(members, pairs, 0.8)}


def test_copies_and_near_copies_over_all_sources_leave_one_with_evidence(tmp_path: Path) -> None:
    near = prose(1, 300).replace("one", "two", 2)
    write_jsonl(tmp_path / "a.jsonl", [prose(1, 300), prose(2, 300)])
    write_jsonl(tmp_path / "b.jsonl", [prose(1, 300) + "  \r\n", near, prose(3, 300)])
    figures = run(config(source(tmp_path / "a.jsonl"), source(tmp_path / "b.jsonl", "web")), tmp_path)
    kept = {row["id"] for row in documents(tmp_path)}
    removed = rows(tmp_path / "corpus/removed.parquet")
    assert len(kept) == 3
    assert figures["not_kept"][NEAR] + figures["not_kept"].get(EXACT, 0) == len(removed) == 2
    assert all(row["kept"] in kept and row["removed"] not in kept and 0.8 <= row["similarity"] <= 1 for row in removed)


def test_what_is_similar_only_to_something_removed_stays(tmp_path: Path) -> None:
    # Shifted by 20 of 200 words: 0.82 to the neighbour, 0.67 to the one after it.
    write_jsonl(tmp_path / "a.jsonl", [shifted(20 * step) for step in range(5)] + [prose(n) for n in range(9)])
    run(config(source(tmp_path / "a.jsonl")), tmp_path)
    kept = {row["id"] for row in documents(tmp_path)}
    removed = rows(tmp_path / "corpus/removed.parquet")
    assert 2 <= len([row for row in documents(tmp_path) if row["text"].startswith("word")]) <= 3
    assert all(row["kept"] in kept and row["similarity"] >= 0.8 for row in removed)


def test_documents_that_similar_ones_connect_are_never_parted_by_the_split(tmp_path: Path) -> None:
    chains = [[shifted(20 * step).replace("word", chr(97 + chain) * 3) for step in range(5)] for chain in range(8)]
    write_jsonl(tmp_path / "a.jsonl", [text for chain in chains for text in chain])
    run(config(source(tmp_path / "a.jsonl")), tmp_path)
    sides: dict[str, list[str]] = {}
    for split in ("train", "validation"):
        for row in documents(tmp_path, split):
            sides.setdefault(row["text"][:3], []).append(f"{split} {row['group']}")
    assert {len(found) for found in sides.values()} <= {2, 3}
    assert all(len(set(found)) == 1 for found in sides.values())


def test_the_first_member_stays_and_its_neighbours_are_measured_against_it() -> None:
    members = [member(1, range(0, 100)), member(2, range(5, 105)), member(3, range(10, 110)), member(4, range(15, 115))]
    assert verdicts(members, [(1, 2), (2, 3), (1, 3), (3, 4), (2, 4), (1, 4)]) == {
        2: (1, NEAR, ""),
        3: (1, NEAR, ""),
        1: (-1, "", "id-1"),
        4: (-1, "", "id-1"),
    }


def test_the_most_similar_kept_document_is_the_evidence_and_ties_go_to_the_first() -> None:
    members = [member(1, range(0, 100)), member(2, range(21, 121)), member(3, range(10, 110)), member(4, range(12, 112))]
    pairs = [(1, 3), (2, 3), (1, 4), (2, 4)]
    assert verdicts(members, pairs)[3][0] == 1
    assert verdicts(members, pairs)[4][0] == 2


def test_kept_documents_of_one_cluster_share_a_group_named_after_a_distribution_if_there_is_one() -> None:
    for group in ("", "numpy"):
        members = [member(1, range(0, 100)), member(2, range(21, 121), group), member(3, range(10, 110)), member(4, range(999))]
        found = verdicts(members, [(1, 3), (2, 3), (1, 4)])
        assert found == {3: (1, NEAR, ""), 1: (-1, "", group or "id-1"), 2: (-1, "", group or "id-1")}


def test_a_copy_of_a_removed_document_points_to_what_was_kept() -> None:
    near = pa.Table.from_pylist([{"document": 5, "kept": 2, "similarity": 0.9, "reason": NEAR, "group": ""}], tables.VERDICTS)
    found = with_exact(near, np.array([[5, 7], [1, 3]])).to_pylist()
    assert [(v["document"], v["kept"], v["similarity"], v["reason"]) for v in found] == [
        (3, 1, 1.0, EXACT),
        (5, 2, 0.9, NEAR),
        (7, 2, 0.9, NEAR),
    ]


def bucket(path: Path, entries: list[tuple[int, int, int, int]]) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    columns = [pa.array([entry[i] for entry in entries], field.type) for i, field in enumerate(tables.BANDS)]
    pq.write_table(pa.table(columns, schema=tables.BANDS), path)
    exact, near = ({(row["left"], row["right"]) for row in rows(file)} for file in find_pairs(path))
    return exact, near


def test_copies_pair_with_the_first_by_id_and_only_that_one_meets_others(tmp_path: Path) -> None:
    entries = [(77, 77, 9, 1), (77, 77, 3, 2), (77, 77, 5, 3), (42, 77, 9, 1), (42, 77, 3, 2), (42, 77, 5, 3), (42, 88, 1, 4)]
    assert bucket(tmp_path / "b.parquet", entries) == ({(2, 1), (2, 3)}, {(4, 2)})


@pytest.mark.parametrize("count", [1, 2, NEIGHBOURS, NEIGHBOURS + 30])
def test_a_large_bucket_compares_each_with_the_first_only(tmp_path: Path, count: int) -> None:
    exact, near = bucket(tmp_path / "b.parquet", [(42, 1000 + i, i, i) for i in range(count)])
    assert not exact
    assert near == {(left, right) for right in range(count) for left in range(min(right, NEIGHBOURS))}


def test_an_empty_bucket_has_no_pairs(tmp_path: Path) -> None:
    assert bucket(tmp_path / "b.parquet", []) == (set(), set())


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_connected_components_are_those_of_a_walk(pairs: list[tuple[int, int]]) -> None:
    label = list(range(31))
    for _ in range(31):
        for left, right in pairs:
            label[left] = label[right] = min(label[left], label[right])
    assert connected(np.array(pairs, dtype=np.int64).reshape(-1, 2), 31).tolist() == label
