"""The tables of a corpus list every document, group, removal and large cluster, in a fixed order."""

from pathlib import Path

import pytest

from components.artifacts import TRAIN, VALIDATION
from components.curation.config import PYTHON_ENVIRONMENT
from components.curation.corpus.ledger import JudgedShard, write_ledger
from components.curation.corpus.records import LARGEST, write_clusters, write_evidence, write_groups, write_metrics
from components.curation.tables.reasons import EXACT, NEAR
from components.curation.text.draw import group_of
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import rows
from tests.components.curation.corpus.conftest import group_digits, identity, removal, shard_of

MEMORIES = pytest.mark.parametrize("memory", [10**9, 512])
"""Memory limits: all rows in one partition, and one row per partition."""


def shards(directory: Path) -> list[JudgedShard]:
    """Two shards with documents of two groups, an ungrouped document and a refused one."""
    first = shard_of(directory / "0", {2: {"group": "b"}, 3: {"reason": "short"}, 5: {"group": "a", "source": "t"}})
    second = shard_of(directory / "1", {2**32 + 1: {"group": "a", "source": "u"}, 2**32 + 9: {}})
    for shard in (first, second):
        write_ledger(shard)
    return [first, second]


def test_every_document_read_has_a_row_and_only_kept_ones_a_split(tmp_path: Path) -> None:
    splits = {"a": TRAIN, "b": VALIDATION, group_digits(2**32 + 9): VALIDATION}
    write_metrics(shards(tmp_path), splits, tmp_path / "documents.parquet")
    listed = [(row["uri"], row["split"], row["kept"], row["reason"]) for row in rows(tmp_path / "documents.parquet")]
    assert listed == [
        ("s/2", VALIDATION, True, ""),
        ("s/3", None, False, "short"),
        ("s/5", TRAIN, True, ""),
        (f"s/{2**32 + 1}", TRAIN, True, ""),
        (f"s/{2**32 + 9}", VALIDATION, True, ""),
    ]


@MEMORIES
def test_a_group_is_listed_once_with_its_split_and_its_first_source_by_name(tmp_path: Path, memory: int) -> None:
    splits = {"a": TRAIN, "b": VALIDATION, "linked": TRAIN, group_digits(2**32 + 9): VALIDATION}
    path = tmp_path / "groups.parquet"
    write_groups(shards(tmp_path), ["a", "linked"], splits, path, tmp_path, InProcessShardEngine(), memory=memory)
    assert {row["group"]: (row["split"], row["source"]) for row in rows(path)} == {
        "a": (TRAIN, "t"),
        "b": (VALIDATION, "s"),
        "linked": (TRAIN, PYTHON_ENVIRONMENT),
        group_of(2**32 + 9): (VALIDATION, "s"),
    }
    assert len(rows(path)) == 4


@MEMORIES
def test_removals_are_listed_by_id_whatever_the_order_of_the_verdicts(tmp_path: Path, memory: int) -> None:
    verdicts = [
        [removal(9, 1, NEAR, 0.9), removal(4, 2, EXACT)],
        [removal(7, 1, NEAR, 0.8), {"document": 1, "kept": -1, "id": identity(1), "reason": ""}],
    ]
    texts = [text for number, own in enumerate(verdicts) for text in shard_of(tmp_path / str(number), {1: {}}, own).texts]
    write_evidence(texts, tmp_path / "removed.parquet", tmp_path, InProcessShardEngine(), memory=memory)
    listed = [tuple(row.values()) for row in rows(tmp_path / "removed.parquet")]
    assert listed == [(identity(4), identity(2), 1.0), (identity(7), identity(1), 0.8), (identity(9), identity(1), 0.9)]


@MEMORIES
def test_the_largest_clusters_of_a_source_come_first_over_all_shards(tmp_path: Path, memory: int) -> None:
    own, documents = [], {number: {} for number in range(1, 101)}
    for number in range(2):
        # Document number `kept` replaces `kept` other documents of the shard.
        removals, free = [], 20
        for kept in range(1, LARGEST + 3):
            removals += [removal(free + step, kept, NEAR) for step in range(kept)]
            free += kept
        own.append(shard_of(tmp_path / str(number), documents, removals))
        write_ledger(own[-1])
    path = tmp_path / "clusters.parquet"
    write_clusters(own, {("s", "web"): 200}, path, tmp_path, InProcessShardEngine(), memory=memory)
    listed = [(row["kept"], row["documents"], row["share"]) for row in rows(path)]
    assert listed == [(identity(kept), 2 * kept, kept / 100) for kept in range(LARGEST + 2, 2, -1)]
