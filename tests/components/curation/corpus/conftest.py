"""One shard of a corpus after extraction and deduplication."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.corpus.ledger import GROUP_DIGITS, JudgedShard
from components.curation.duplicates.sketches import TextShard
from components.curation.extraction.extract import ExtractedShard, texts_path
from components.curation.text.draw import group_of

NUMBERS = itertools.count()
"""Numbers of text shards, each used once."""


def identity(number: int) -> str:
    """An id that sorts like its number."""
    return f"{number:064x}"


def group_digits(number: int) -> str:
    """The group by which a document with this text hash is split."""
    return group_of(number)[:GROUP_DIGITS]


def shard_of(
    directory: Path,
    documents: Mapping[int, Mapping[str, Any]],
    verdicts: Sequence[Mapping[str, Any]] = (),
    trimmed: Sequence[Mapping[str, Any]] = (),
) -> JudgedShard:
    """A shard of documents; `documents` maps numbers to columns with unusual values, and a `reason` refuses the document.

    Its only text shard has these verdicts and these trimmed rows.
    """
    rows, texts = [], []
    for number, fields in documents.items():
        row = {"document": number, "id": identity(number), "source": "s", "domain": "web", "language": "en", "group": ""}
        row |= {"text_hash": number, "uri": f"s/{number}", "text": f"text {number}", "reason": "", **fields}
        row |= {"bytes": len(row["text"].encode()), "characters": len(row["text"])}
        rows.append(row | ({"document": -1} if row["reason"] else {}))
        texts += [] if row["reason"] else [row]
    shard = ExtractedShard(directory=str(directory), text_shards=1, documents=len(texts))
    tables.write(shard.rows, table_of(rows, tables.ROWS))
    tables.write(texts_path(directory, 0), table_of(texts, tables.TEXTS))
    text = TextShard(number=next(NUMBERS), texts=texts_path(directory, 0), directory=directory / "text")
    interim.write(text.verdicts, table_of(verdicts, tables.VERDICTS))
    if trimmed:
        tables.write(text.trimmed_path, table_of(trimmed, tables.TRIMMED))
    return JudgedShard(extracted=shard, texts=(text,))


def removal(document: int, kept: int, reason: str, similarity: float = 1.0) -> dict[str, Any]:
    """A verdict that removes a document."""
    ids = {"id": identity(document), "kept_id": identity(kept), "text": document, "kept_text": kept}
    return {"document": document, "kept": kept, "reason": reason, "similarity": similarity, "group": "", **ids}


def table_of(rows: Any, schema: pa.Schema) -> pa.Table:
    """A table of rows; missing columns are null."""
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)
