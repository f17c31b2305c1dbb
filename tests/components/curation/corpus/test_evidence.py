"""Samples include documents of every kind of decision, with their texts."""

from pathlib import Path

import pyarrow as pa

from components.curation import tables
from components.curation.corpus.evidence import CLUSTER, pick, write_samples
from components.curation.corpus.ledger import JudgedShard, write_ledger
from components.curation.extraction.samples import DEDUPLICATE, KEEP, QUALITY, TRIM
from components.curation.tables.reasons import EXACT, LOW_QUALITY, NEAR
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import rows
from tests.components.curation.corpus.conftest import identity, removal, shard_of


def judged(directory: Path) -> JudgedShard:
    """A shard with documents of every kind of decision."""
    shard = shard_of(
        directory,
        {number: {"domain": "code"} if number == 8 else {} for number in range(1, 9)} | {9: {"reason": LOW_QUALITY}},
        verdicts=[removal(3, 1, NEAR, 0.9), removal(4, 1, EXACT), removal(5, 2, NEAR, 0.8)],
        trimmed=[{"document": 6, "text": "shorter", "bytes": 7, "characters": 7, "cut": 1, "reason": ""}],
    )
    write_ledger(shard)
    return shard


def test_the_first_documents_of_each_reason_are_picked(tmp_path: Path) -> None:
    picked = pick(judged(tmp_path), limit=2, largest=frozenset({identity(1)}))
    assert [(row["step"], row["reason"], row["id"]) for row in picked] == [
        *((CLUSTER, identity(1), identity(number)) for number in (3, 4)),
        (DEDUPLICATE, EXACT, identity(4)),
        *((DEDUPLICATE, NEAR, identity(number)) for number in (3, 5)),
        (KEEP, "code", identity(8)),
        *((KEEP, "web", identity(number)) for number in (1, 2)),
        (QUALITY, LOW_QUALITY, identity(9)),
        (TRIM, "", identity(6)),
    ]


def test_a_sample_has_the_texts_before_and_after_its_step(tmp_path: Path) -> None:
    shard = judged(tmp_path / "shard")
    tables.write(shard.extracted.samples, tables.SAMPLES.empty_table())
    clusters = [{"source": "s", "domain": "web", "kept": identity(1), "kept_text": 1, "documents": 2, "share": 0.2}]
    tables.write(tmp_path / "metrics" / "clusters.parquet", pa.Table.from_pylist(clusters, tables.CLUSTERS))
    write_samples([shard.extracted], [shard], tmp_path, InProcessShardEngine(), limit=9)
    texts = {(row["step"], row["id"]): (row["before"], row["after"]) for row in rows(tmp_path / "samples.parquet")}
    assert texts[DEDUPLICATE, identity(5)] == ("text 5", "text 2")
    assert texts[CLUSTER, identity(3)] == ("text 3", "text 1")
    assert texts[TRIM, identity(6)] == ("text 6", "shorter")
    assert texts[KEEP, identity(6)] == ("", "shorter")
    assert texts[KEEP, identity(7)] == ("", "text 7")
