"""Which documents a reader is shown of quality, deduplication and what stays, and their texts.

Picks are made from ledgers and verdicts without any text; the shards that hold a picked document are then read once.
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
from components.curation.config import CurationConfig
from components.curation.corpus.ledger import ledger_of
from components.curation.extraction.extract import SHARD_BITS, ExtractedShard
from components.curation.extraction.samples import DEDUPLICATE, KEEP, QUALITY, TRIM, Row, Samples, excerpt
from components.curation.tables.reasons import LOW_QUALITY
from components.ports import ShardEngine

CLUSTERS = 10
"""Largest clusters whose members are shown."""

CLUSTER = "cluster"
"""The step of their rows; their reason is the document that stays."""

LEFT = ["document", "text"]

Judged = tuple[ExtractedShard, Sequence[Path], Sequence[Path]]
"""A shard, the verdicts on its parts, and what is left of their documents that lost passages."""

NAMED = ("document", "id", "source", "uri", "domain", "language", "quality")

Texts = dict[int, str]
"""Excerpts by document."""


def write_samples(
    config: CurationConfig,
    read: Sequence[ExtractedShard],
    judged: Sequence[Judged],
    output: Path,
    engine: ShardEngine,
) -> None:
    """Write `samples.parquet`. `read` are the shards as they were read, `judged` what was left of them and what became of it."""
    samples = Samples(config.samples)
    for shard in read:
        samples.add(pq.read_table(shard.samples).to_pylist())
    clusters = pq.read_table(output / "metrics" / "clusters.parquet").sort_by(
        [("documents", "descending"), ("kept", "ascending")]
    )
    largest = frozenset(clusters["kept"].to_pylist()[:CLUSTERS])
    picked = partial(pick, most=config.samples, largest=largest)
    found = engine.map_shards(picked, list(judged), description="pick samples")
    samples.add([row for rows in found for row in rows])
    rows = samples.rows()
    texts = _texts(rows, read, engine)
    tables.write(output / "samples.parquet", pa.Table.from_pylist([_filled(row, texts) for row in rows], tables.SAMPLES))


def pick(work: Judged, *, most: int, largest: frozenset[str]) -> list[Row]:
    """Documents of a shard that may be shown, without texts but what is left of those that lost passages."""
    shard, verdicts, trimmed = work
    samples = Samples(most)
    table = pq.read_table(ledger_of(shard))
    refused = table.filter(pc.equal(table["reason"], LOW_QUALITY))
    samples.add([{**row, "step": QUALITY, "reason": LOW_QUALITY} for row in _least(refused, most)])
    stay = table.filter(pc.equal(table["reason"], ""))
    for domain in sorted(set(stay["domain"].to_pylist())):
        own = stay.filter(pc.equal(stay["domain"], domain))
        samples.add([{**row, "step": KEEP, "reason": domain, **_left(row, trimmed)} for row in _least(own, most)])
    for part in trimmed:
        samples.add(_trimmed(pq.read_table(part, columns=LEFT), table, most))
    for part in verdicts:
        samples.add(_duplicates(interim.read(part), table, most, largest))
    return samples.rows()


def _least(table: pa.Table, most: int) -> list[Row]:
    rows: list[Row] = table.sort_by("id").slice(0, most).select(NAMED).to_pylist()
    return rows


def _left(row: Row, trimmed: Sequence[Path]) -> Row:
    """What is left of a document that lost passages."""
    for part in trimmed:
        table = pq.read_table(part, columns=LEFT, filters=[("document", "==", row["document"])])
        if table.num_rows:
            return {"after": excerpt(table["text"][0].as_py())}
    return {}


def _trimmed(left: pa.Table, ledger: pa.Table, most: int) -> list[Row]:
    own = ledger.filter(pc.is_in(ledger["document"], left["document"].combine_chunks()))
    texts = dict(zip(left["document"].to_pylist(), left["text"].to_pylist(), strict=True))
    return [{**row, "step": TRIM, "reason": "", "after": excerpt(texts[row["document"]])} for row in _least(own, most)]


def _duplicates(verdicts: pa.Table, ledger: pa.Table, most: int, largest: frozenset[str]) -> list[Row]:
    gone = verdicts.filter(pc.greater_equal(verdicts["kept"], 0)).sort_by("id")
    rows = [one for reason in sorted(set(gone["reason"].to_pylist())) for one in _of(gone, "reason", reason, DEDUPLICATE, most)]
    for kept in sorted(largest & set(gone["kept_id"].to_pylist())):
        rows += _of(gone, "kept_id", kept, CLUSTER, most)
    named = {row["document"]: row for row in _named(ledger, [row["document"] for row in rows])}
    return [{**named[row["document"]], **row} for row in rows]


def _of(gone: pa.Table, name: str, value: str, step: str, most: int) -> list[Row]:
    rows = gone.filter(pc.equal(gone[name], value)).slice(0, most).to_pylist()
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
    found = engine.map_shards(fetch, work, description="take samples")
    return {document: text for texts in found for document, text in texts.items()}


def fetch(work: tuple[ExtractedShard, Sequence[int]]) -> Texts:
    """The heads of the texts of some documents of a shard."""
    shard, documents = work
    texts: Texts = {}
    for part in shard.texts:
        numbers = pq.read_table(part, columns=["document"])["document"].to_numpy()
        if np.isin(documents, numbers).any():
            table = pq.read_table(part, columns=["document", "text"])
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
