"""Similarities are counted exactly, and no pair at the threshold is missed."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from components import interim
from components.curation import tables
from components.curation.duplicates.verification import measure, verify_pairs
from components.interim.exchange import write_partitions
from tests.components.curation.conftest import passed

Sets = list[set[int]]


def jaccard(first: set[int], second: set[int]) -> float:
    return len(first & second) / len(first | second)


@given(st.lists(st.sets(st.integers(1, 12), min_size=1), min_size=2, max_size=6), st.sampled_from([0.3, 0.5, 0.75, 0.8, 1.0]))
def test_every_pair_at_the_threshold_has_its_similarity_and_no_other_reaches_it(sets: Sets, threshold: float) -> None:
    values = np.concatenate([np.array(sorted(elements), dtype=np.uint64) for elements in sets])
    starts = np.cumsum([0, *map(len, sets)])
    firsts, seconds = np.triu_indices(len(sets), 1)
    similarities = np.zeros(len(firsts))
    measure(values, starts, firsts, seconds, threshold, np.empty(64, dtype=np.uint64), similarities)
    for first, second, similarity in zip(firsts, seconds, similarities.tolist(), strict=True):
        true = jaccard(sets[first], sets[second])
        assert similarity == true if true >= threshold else similarity < threshold


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([0.55, 0.7, 0.75, 0.8, 0.9]))
@example(first_size=55, second_size=100, threshold=0.55)
def test_a_pair_right_at_the_threshold_is_found_whatever_the_sizes(first_size: int, second_size: int, threshold: float) -> None:
    share = Fraction(str(threshold))
    shared = share * (first_size + second_size) / (1 + share)
    common = min(math.ceil(shared), first_size, second_size)
    values = np.arange(1, first_size + second_size - common + 1, dtype=np.uint64)
    sets = np.concatenate([values[:first_size], values[first_size - common :]])
    similarities = np.zeros(1)
    starts, table = np.array([0, first_size, first_size + second_size]), np.empty(2048, dtype=np.uint64)
    measure(sets, starts, np.array([0]), np.array([1]), threshold, table, similarities)
    assert (similarities[0] >= threshold) == (Fraction(common, first_size + second_size - common) >= share)


def test_a_block_gives_edges_with_both_ends(tmp_path: Path) -> None:
    sets = {5: range(1, 101), 6: range(6, 106), 9: range(50, 150)}
    packed = {number: np.array(shingles, dtype=np.uint64).tobytes() for number, shingles in sets.items()}
    members = [
        {
            "block": 1,
            "document": n,
            "rank": 100 - n,
            "tie": 0,
            "part": 2,
            "text": n,
            "id": f"id-{n}",
            "group": "",
            "shingles": packed[n],
        }
        for n in sets
    ]
    for shard in (0, 1):
        rows = pa.Table.from_pylist(members[shard::2], tables.MEMBERS)
        write_partitions(tmp_path / "members" / f"{shard}.arrow", rows, key="block", partitions=2)
    listed = [{"block": 1, "left": first, "right": second} for first, second in ((6, 5), (9, 5), (9, 6))]
    pairs = interim.write(tmp_path / "p.arrow", pa.Table.from_pylist(listed, tables.PAIRS))
    edges, measured = verify_pairs((1, pairs), members=tmp_path / "members", threshold=0.8)
    (edge,) = passed(edges)
    assert measured == 3
    assert (edge["left_id"], edge["right_id"], edge["similarity"], edge["copy"]) == ("id-6", "id-5", 95 / 105, False)
