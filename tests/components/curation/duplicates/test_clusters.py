"""Similarity is not transitive, copies get the same verdict, and the kept documents of a cluster share a group."""

from pathlib import Path

import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.duplicates.clusters import judge
from components.curation.tables.reasons import EXACT, NEAR
from components.curation.text.draw import group_of
from tests.components.curation.conftest import passed

Edge = tuple[int, int, float]


def verdicts(path: Path, edges: list[Edge], groups: dict[int, str] | None = None) -> dict[int, tuple[int, str, str]]:
    """Verdicts on one component; ranks are document numbers, and a similarity of 1 marks a copy."""

    def end(which: str, number: int) -> dict[str, object]:
        named = {"id": f"id-{number}", "group": (groups or {}).get(number, "")}
        values = {"document": number, "rank": number, "tie": 0, "part": 0, "text": number, **named}
        return {f"{which}_{name}": value for name, value in values.items()}

    listed = [{"component": 0, "similarity": s, "copy": s == 1, **end("left", a), **end("right", b)} for a, b, s in edges]
    connected = interim.write(path, pa.Table.from_pylist(listed, tables.CONNECTED))
    return {row["document"]: (row["kept"], row["reason"], row["group"]) for row in passed(judge(connected))}


def test_the_first_member_stays_and_its_neighbours_are_measured_against_it(tmp_path: Path) -> None:
    edges = [(1, 2, 0.9), (2, 3, 0.9), (1, 3, 0.82), (3, 4, 0.9), (2, 4, 0.82)]
    assert verdicts(tmp_path / "e", edges) == {
        2: (1, NEAR, ""),
        3: (1, NEAR, ""),
        1: (-1, "", group_of(1)),
        4: (-1, "", group_of(1)),
    }


def test_the_most_similar_kept_document_is_the_evidence_and_ties_go_to_the_first(tmp_path: Path) -> None:
    edges = [(1, 3, 0.82), (2, 3, 0.81), (1, 4, 0.8), (2, 4, 0.85), (1, 5, 0.9), (2, 5, 0.9)]
    judged = verdicts(tmp_path / "e", edges)
    assert [judged[number][0] for number in (3, 4, 5)] == [1, 2, 1]


def test_kept_documents_of_one_cluster_share_a_group_named_after_a_distribution_if_there_is_one(tmp_path: Path) -> None:
    for group in ("", "numpy"):
        judged = verdicts(tmp_path / "e", [(1, 3, 0.8), (2, 3, 0.8)], {2: group})
        assert judged == {3: (1, NEAR, ""), 1: (-1, "", group or group_of(1)), 2: (-1, "", group or group_of(1))}


def test_a_copy_of_a_removed_document_points_to_what_was_kept(tmp_path: Path) -> None:
    judged = verdicts(tmp_path / "e", [(2, 5, 0.9), (5, 7, 1), (2, 3, 1)])
    assert judged == {5: (2, NEAR, ""), 7: (2, NEAR, ""), 3: (2, EXACT, "")}
