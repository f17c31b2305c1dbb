"""Reading a corpus: which domains and portions it has, and its documents by rows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import Mixture, portion_name
from components.errors import DamagedArtifact

BATCH_BYTES = 1 << 20
"""UTF-8 bytes of text handed to the library at once: enough that a call costs nothing, and little memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Consecutive documents of one Parquet file of a corpus."""

    part: Path
    start: int
    stop: int


def mixture(corpus: Path) -> Mixture:
    """The target shares of a corpus. Raises `DamagedArtifact` if they cannot be read."""
    path = corpus / "mixture.json"
    try:
        return Mixture(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DamagedArtifact(f"{path}: not a mixture ({error}); run the step curation again") from error


def domains(corpus: Path, split: str) -> list[str]:
    """The domains that have documents in a split, sorted."""
    return sorted(path.name for path in (corpus / "documents" / split).glob("*") if path.is_dir())


def portions(corpus: Path, split: str, domain: str) -> list[str]:
    """The names of the portions in which a domain lies: itself, or `DOMAIN/LANGUAGE` for each of its languages, sorted."""
    languages = sorted(path.name for path in (corpus / "documents" / split / domain).glob("*") if path.is_dir())
    return [portion_name(domain, language) for language in languages] or [domain]


def parts(corpus: Path, split: str, portion: str) -> list[Path]:
    """The Parquet files of a portion, in the order of its document ids."""
    return sorted((corpus / "documents" / split / portion).glob("*.parquet"))


def whole(part: Path) -> Rows:
    """All documents of a file."""
    return Rows(part=part, start=0, stop=pq.read_metadata(part).num_rows)


def cut(part: Path, limit: int) -> list[Rows]:
    """Cut a file into runs of documents of at most `limit` bytes of text each; a longer document is a run of its own."""
    runs, start, size = [], 0, 0
    lengths = pq.read_table(part, columns=["bytes"])["bytes"].to_pylist()
    for row, length in enumerate(lengths):
        if row > start and size + length > limit:
            runs.append(Rows(part=part, start=start, stop=row))
            start, size = row, 0
        size += length
    return [*runs, Rows(part=part, start=start, stop=len(lengths))] if lengths else []


def batches(rows: Rows, columns: list[str], limit: int = BATCH_BYTES) -> Iterator[pa.Table]:
    """The documents of `rows` in order, in tables of about `limit` bytes of text. `columns` must name `bytes`."""
    for table in _tables(rows, columns):
        start, size = 0, 0
        for row, length in enumerate(table["bytes"].to_pylist(), start=1):
            size += length
            if size >= limit or row == table.num_rows:
                yield table.slice(start, row - start)
                start, size = row, 0


def _tables(rows: Rows, columns: list[str]) -> Iterator[pa.Table]:
    """The row groups that `rows` touches, each cut to what belongs to them."""
    with pq.ParquetFile(rows.part) as file:
        first = 0
        for group in range(file.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            start, stop = max(rows.start, first), min(rows.stop, last)
            if start < stop:
                yield file.read_row_group(group, columns=columns).slice(start - first, stop - start)
            first = last
