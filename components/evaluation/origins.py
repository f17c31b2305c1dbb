"""Counts documents and bytes of the corpus by source, domain, language and licence."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import Origin

_KEYS = ["source", "domain", "language", "licence"]


def origins(corpus: Path) -> tuple[Origin, ...]:
    """Counts over both splits of the corpus, sorted. Files are read one at a time, and only the columns that are needed."""
    counts = [
        pq.read_table(path, columns=[*_KEYS, "bytes"]).group_by(_KEYS).aggregate([("bytes", "count"), ("bytes", "sum")])
        for path in sorted((corpus / "documents").rglob("*.parquet"))
    ]
    if not counts:
        return ()
    total = pa.concat_tables(counts).group_by(_KEYS).aggregate([("bytes_count", "sum"), ("bytes_sum", "sum")])
    rows = [
        Origin(**{key: row[key] or "" for key in _KEYS}, documents=row["bytes_count_sum"], bytes=row["bytes_sum_sum"])
        for row in total.to_pylist()
    ]
    return tuple(sorted(rows, key=lambda row: (row.source, row.domain, row.language, row.licence)))
