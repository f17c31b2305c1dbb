"""Reading a corpus: which domains and portions it has, and its documents by rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import portion_name

BATCH_BYTES = 1 << 20
"""UTF-8 bytes of text that are encoded at a time: enough to make the cost of a call negligible, and little memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Consecutive documents of one Parquet file of a corpus."""

    path: Path
    start: int
    stop: int


def domains(corpus: Path, split: str) -> list[str]:
    """The domains that have documents in a split, sorted."""
    return sorted(path.name for path in (corpus / "documents" / split).glob("*") if path.is_dir())


def portions(corpus: Path, split: str, domain: str) -> list[str]:
    """The names of a domain's portions: its own, or `DOMAIN/LANGUAGE` for each of its languages, sorted."""
    languages = sorted(path.name for path in (corpus / "documents" / split / domain).glob("*") if path.is_dir())
    return [portion_name(domain, language) for language in languages] or [domain]


def files(corpus: Path, split: str, portion: str) -> list[Path]:
    """The Parquet files of a portion, in the order of its document ids."""
    return sorted((corpus / "documents" / split / portion).glob("*.parquet"))


def all_rows(path: Path) -> Rows:
    """All documents of a file."""
    return Rows(path=path, start=0, stop=pq.read_metadata(path).num_rows)


def runs(path: Path, max_bytes: int) -> list[Rows]:
    """A file divided into runs of documents of at most `max_bytes` of text each; a longer document is a run of its own."""
    divided, start, size = [], 0, 0
    lengths = pq.read_table(path, columns=["bytes"])["bytes"].to_pylist()
    for row, length in enumerate(lengths):
        if row > start and size + length > max_bytes:
            divided.append(Rows(path=path, start=start, stop=row))
            start, size = row, 0
        size += length
    return [*divided, Rows(path=path, start=start, stop=len(lengths))] if lengths else []


def batches(rows: Rows, columns: list[str], batch_bytes: int = BATCH_BYTES) -> Iterator[pa.Table]:
    """The documents of `rows` in order, in tables of about `batch_bytes` of text. `columns` must name `bytes`."""
    for table in _tables(rows, columns):
        start, size = 0, 0
        for row, length in enumerate(table["bytes"].to_pylist(), start=1):
            size += length
            if size >= batch_bytes or row == table.num_rows:
                yield table.slice(start, row - start)
                start, size = row, 0


def _tables(rows: Rows, columns: list[str]) -> Iterator[pa.Table]:
    """The row groups that hold `rows`, without the rows before and after them."""
    with pq.ParquetFile(rows.path) as file:
        first = 0
        for group in range(file.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            start, stop = max(rows.start, first), min(rows.stop, last)
            if start < stop:
                yield file.read_row_group(group, columns=columns).slice(start - first, stop - start)
            first = last
