"""Reads and writes the list of raw files that an artifact was made from.

The source and relative path of each file belong to the artifact's content; its absolute path or URI belongs to the record. So
the same files in another folder or bucket give the same content digest, and their original location is still known.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAW, LOCATIONS = "raw.parquet", "locations.parquet"
"""Two files of an artifact with a row per raw file: `RAW` has source, path in the source, sha256 and bytes; `LOCATIONS` has
source, path and URI."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRecord:
    """One raw file."""

    source: str
    """Name of the source."""
    path: str
    """Path in the source, with forward slashes."""
    sha256: str
    bytes: int
    uri: str
    """Location when it was read: an absolute path, an `s3://` URI, or `python-environment:DISTRIBUTION/PATH`."""

    @property
    def name(self) -> str:
        """The name of the file in messages."""
        return self.path if self.path == self.uri else f"{self.source}/{self.path}"


def write_raw(records: Sequence[RawRecord], output: Path) -> None:
    """Write `RAW` and `LOCATIONS` into the directory `output`, rows in the order of `records`."""
    rows = [{"source": r.source, "path": r.path, "sha256": r.sha256, "bytes": r.bytes} for r in records]
    _write(rows, {"source": "string", "path": "string", "sha256": "string", "bytes": "int64"}, output / RAW)
    write_locations([(record.source, record.path, record.uri) for record in records], output)


def write_locations(files: Iterable[tuple[str, str, str]], output: Path) -> None:
    """Write `LOCATIONS` into the directory `output` from the source, path and URI of each raw file."""
    names = ("source", "path", "uri")
    _write([dict(zip(names, file, strict=True)) for file in files], dict.fromkeys(names, "string"), output / LOCATIONS)


def _write(rows: list[dict[str, Any]], columns: Mapping[str, str], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    pq.write_table(pa.Table.from_pylist(rows, schema), path, compression="zstd")


def read_raw(raw: bytes, locations: bytes | None) -> list[RawRecord]:
    """The raw files of an artifact, from the bytes of `RAW` and `LOCATIONS`.

    An artifact of format 1 has no `LOCATIONS`: its `RAW` has the URI of each file.
    """
    import pyarrow.parquet as pq

    rows = pq.read_table(io.BytesIO(raw)).to_pylist()
    if locations is None:
        return [RawRecord(**{"path": row["uri"], **row}) for row in rows]
    uris = {(row["source"], row["path"]): row["uri"] for row in pq.read_table(io.BytesIO(locations)).to_pylist()}
    return [RawRecord(**row, uri=uris[row["source"], row["path"]]) for row in rows]
