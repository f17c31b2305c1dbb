"""Writes `samples.parquet`: example documents of each step and reason, with excerpts of their texts, for `longrun inspect`.

Examples are picked from ledgers and verdicts, which have no texts; then each shard with a picked document is read once.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components import interim
from components.curation import tables
from components.curation.corpus.ledger import JudgedShard
from components.curation.extraction.extract import SHARD_BITS, ExtractedShard
from components.curation.extraction.samples import DEDUPLICATE, KEEP, QUALITY, TRIM, Row, Samples, excerpt
from components.curation.tables.reasons import LOW_QUALITY
from components.curation.tables.sorting import starts
from components.ports import ShardEngine

CLUSTERS = 10
"""Number of the largest clusters whose members are shown."""

CLUSTER = "cluster"
"""Step of the samples that show members of a cluster; their reason is the id of the kept document."""

TEXT = ["document", "text"]

NAMED = ("document", "text_hash", "id", "source", "uri", "domain", "language", "quality")

Texts = dict[int, str]
"""Excerpts by document number."""


def write_samples(
    read: Sequence[ExtractedShard],
    judged: Sequence[JudgedShard],
    output: Path,
    engine: ShardEngine,
    *,
    limit: int,
) -> None:
    """Write `samples.parquet`, with up to `limit` documents of each step and reason.

    `read` are the shards before quality grading, which still have the texts of refused documents; `judged` has the verdicts.
    """
    samples = Samples(limit)
    for shard in read:
        samples.add(pq.read_table(shard.samples).to_pylist())
    clusters = pq.read_table(output / "metrics" / "clusters.parquet").sort_by(
        [("documents", "descending"), ("kept_text", "ascending"), ("kept", "ascending")]
    )
    largest = frozenset(clusters["kept"].to_pylist()[:CLUSTERS])
    picked = engine.map_shards(partial(pick, limit=limit, largest=largest), list(judged), description="pick samples")
    samples.add([row for own in picked for row in own])
    rows = samples.rows()
    texts = _texts(rows, read, engine)
    tables.write(output / "samples.parquet", pa.Table.from_pylist([_filled(row, texts) for row in rows], tables.SAMPLES))


def pick(shard: JudgedShard, *, limit: int, largest: frozenset[str]) -> list[Row]:
    """Candidate samples of a shard, up to `limit` for each reason; only trimmed documents have their (trimmed) text yet."""
    samples, trimmed = Samples(limit), shard.trimmed
    table = pq.read_table(shard.ledger)
    refused = table.filter(pc.equal(table["reason"], LOW_QUALITY))
    samples.add([{**row, "step": QUALITY, "reason": LOW_QUALITY} for row in _first(refused, limit).select(NAMED).to_pylist()])
    kept = table.filter(pc.equal(table["reason"], ""))
    for domain in sorted(set(kept["domain"].to_pylist())):
        rows = _first(kept.filter(pc.equal(kept["domain"], domain)), limit).select(NAMED).to_pylist()
        samples.add([{**row, "step": KEEP, "reason": domain, **_after(row, trimmed)} for row in rows])
    for path in trimmed:
        samples.add(_trimmed(pq.read_table(path, columns=TEXT), table, limit))
    for text in shard.texts:
        samples.add(_duplicates(interim.read(text.verdicts), table, limit, largest))
    return samples.rows()


def _first(table: pa.Table, limit: int, text: str = "text_hash") -> pa.Table:
    """One row for each of the `limit` texts with the lowest hashes; column `text` has the hashes."""
    ordered = table.sort_by([(text, "ascending"), ("id", "ascending")])
    return ordered.filter(pa.array(starts(ordered[text].to_numpy()))).slice(0, limit)


def _after(row: Row, trimmed: Sequence[Path]) -> Row:
    """The excerpt of a kept document after trimming, or an empty dict if it was not trimmed."""
    for path in trimmed:
        table = pq.read_table(path, columns=TEXT, filters=[("document", "==", row["document"])])
        if table.num_rows:
            return {"after": excerpt(table["text"][0].as_py())}
    return {}


def _trimmed(trimmed: pa.Table, ledger: pa.Table, limit: int) -> list[Row]:
    own = ledger.filter(pc.is_in(ledger["document"], trimmed["document"].combine_chunks()))
    texts = dict(zip(trimmed["document"].to_pylist(), trimmed["text"].to_pylist(), strict=True))
    rows = _first(own, limit).select(NAMED).to_pylist()
    return [{**row, "step": TRIM, "reason": "", "after": excerpt(texts[row["document"]])} for row in rows]


def _duplicates(verdicts: pa.Table, ledger: pa.Table, limit: int, largest: frozenset[str]) -> list[Row]:
    removed = verdicts.filter(pc.greater_equal(verdicts["kept"], 0))
    rows: list[Row] = []
    for reason in sorted(set(removed["reason"].to_pylist())):
        rows += _where(removed, "reason", reason, DEDUPLICATE, limit)
    for kept in sorted(largest & set(removed["kept_id"].to_pylist())):
        rows += _where(removed, "kept_id", kept, CLUSTER, limit)
    named = {row["document"]: row for row in _named(ledger, [row["document"] for row in rows])}
    return [{**named[row["document"]], **row} for row in rows]


def _where(removed: pa.Table, name: str, value: str, step: str, limit: int) -> list[Row]:
    """Samples of the removed documents that have `value` in column `name`."""
    rows = _first(removed.filter(pc.equal(removed[name], value)), limit, "text").to_pylist()
    return [
        {
            "step": step,
            "reason": value,
            "document": row["document"],
            "kept": row["kept_id"],
            "kept_document": row["kept"],
            "similarity": row["similarity"],
        }
        for row in rows
    ]


def _named(ledger: pa.Table, documents: Sequence[int]) -> list[Row]:
    rows: list[Row] = ledger.filter(pc.is_in(ledger["document"], pa.array(documents, pa.int64()))).select(NAMED).to_pylist()
    return rows


def _texts(rows: Iterable[Mapping[str, Any]], read: Sequence[ExtractedShard], engine: ShardEngine) -> Texts:
    wanted: dict[int, set[int]] = {}
    for row in rows:
        for name in ("document", "kept_document"):
            if row.get(name) is not None and row[name] >= 0:
                wanted.setdefault(row[name] >> SHARD_BITS, set()).add(row[name])
    work = [(read[shard], sorted(documents)) for shard, documents in sorted(wanted.items())]
    fetched = engine.map_shards(fetch, work, description="take samples")
    return {document: text for texts in fetched for document, text in texts.items()}


def fetch(work: tuple[ExtractedShard, Sequence[int]]) -> Texts:
    """Excerpts of the texts of the given documents of a shard; `work` is the shard and the document numbers."""
    shard, documents = work
    texts: Texts = {}
    for path in shard.texts:
        numbers = pq.read_table(path, columns=["document"])["document"].to_numpy()
        if np.isin(documents, numbers).any():
            table = pq.read_table(path, columns=TEXT)
            for row in table.filter(pc.is_in(table["document"], pa.array(documents, pa.int64()))).to_pylist():
                texts[row["document"]] = excerpt(row["text"])
    return texts


def _filled(row: Row, texts: Texts) -> Row:
    if "document" not in row:
        return row
    own = texts.get(row["document"], "")
    if row["step"] == KEEP:
        return {**row, "before": "", "after": row.get("after") or own}
    if row["step"] == TRIM:
        return {**row, "before": own}
    return {**row, "before": own, "after": texts.get(row.get("kept_document", -1), "")}
