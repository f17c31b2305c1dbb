"""Reads a user's JSONL files line by line, and records lines that cannot be used.

Files may be plain or compressed with gzip (.gz) or Zstandard (.zst).
"""

import dataclasses
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, BinaryIO, TypeVar, cast

from components.errors import SourceError
from components.file_names import ends_of
from components.locations import BUCKETS, fetched_file, in_bucket, sha256_at, size_of
from components.raw_files import RawRecord, write_raw

Row = TypeVar("Row")


class BadLineError(Exception):
    """A line cannot be used; the message is the reason. Only raised and caught within this package."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that was refused."""

    source: str
    """Name of the file."""
    line: int
    """Line number, from 1."""
    reason: str
    """Why the line cannot be used."""


def named_files(uris: Sequence[str], max_bad_lines: int) -> list["JsonlSource"]:
    """The files of a config. Each is named by the shortest end of its path that no other has, so moving them keeps the names.

    Raises:
        SourceError: a file is listed twice.
    """
    ends = ends_of(uris)
    for uri, end in zip(uris, ends, strict=True):
        if ends.count(end) > 1:
            raise SourceError(f"{uri}: listed twice in `sources`; list it once")
    return [JsonlSource(uri, max_bad_lines, end) for uri, end in zip(uris, ends, strict=True)]


@dataclass
class JsonlSource:
    """One JSONL file, and the lines of it that were refused."""

    uri: str
    """A local path, with or without file://, or a URI in a bucket."""
    max_bad_lines: int
    """Maximum number of unusable lines."""
    name: str = ""
    """Name of the file in ids and records; empty: the last part of its path."""
    refusals: list[Refusal] = field(default_factory=list)
    """Lines that were refused so far."""

    def __post_init__(self) -> None:
        self.name = self.name or PurePath(self.uri).name

    @property
    def location(self) -> str:
        """Location of the file: an absolute path, or a URI in a bucket.

        Raises:
            SourceError: the file does not exist or is empty, or the URI scheme is not supported.
            StoreError: the object store cannot be reached or refuses the request.
        """
        name = self.uri.removeprefix("file://")
        if "://" in name and not in_bucket(name):
            raise SourceError(
                f"{self.uri}: unsupported URI; allowed: a path or {' or '.join(BUCKETS)} of a JSONL file (plain, .gz or .zst)"
            )
        location = name if in_bucket(name) else str(Path(name).expanduser().absolute())
        if not in_bucket(name) and not Path(location).is_file():
            raise SourceError(f"{self.uri}: no such file; give the path of a JSONL file (plain, .gz or .zst)")
        if size_of(location) == 0:
            raise SourceError(f"{self.uri}: the file is empty; it must have at least one usable line of JSON")
        return location

    def rows(self, parse: Callable[[Mapping[str, Any]], Row]) -> Iterator[tuple[int, Row]]:
        """Yield the number (from 1) of each usable line and the result of `parse` for its JSON object; blank lines are skipped.

        `parse` must raise `BadLineError` for an object that it cannot use.

        Raises:
            SourceError: the file cannot be read to its end, has more than `max_bad_lines` unusable lines, or no usable line.
        """
        usable = 0
        for number, line in enumerate(self._lines(), start=1):
            if not line.strip():
                continue
            try:
                yield number, parse(_json_object(line))
                usable += 1
            except BadLineError as reason:
                self._refuse(number, str(reason))
        if not usable:
            raise SourceError(f"{self.uri}: no usable line{self._first_refusal()}")

    def _refuse(self, number: int, reason: str) -> None:
        self.refusals.append(Refusal(self.name, number, reason))
        if len(self.refusals) > self.max_bad_lines:
            limit = f"allowed: {self.max_bad_lines} (max_bad_lines)"
            raise SourceError(f"{self.uri}: {len(self.refusals)} unusable lines, {limit}{self._first_refusal()}")

    def _first_refusal(self) -> str:
        return f"; the first is line {self.refusals[0].line}: {self.refusals[0].reason}" if self.refusals else ""

    def _lines(self) -> Iterator[bytes]:
        """The decompressed lines of the file. Raises `SourceError` for a truncated file, even after lines of it were read."""
        try:
            with fetched_file(self.location) as path, _open(path) as stream:
                yield from stream
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self.uri}: cannot be read to its end ({error}); the file is truncated or damaged") from error


def _json_object(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise BadLineError(f"invalid UTF-8 at byte {error.start + 1}") from error
    except ValueError as error:
        raise BadLineError(f"invalid JSON ({error})") from error
    if not isinstance(value, dict):
        raise BadLineError("not a JSON object")
    return value


def _open(path: Path) -> BinaryIO:
    """A stream of decompressed bytes; reading raises an error if the compressed file is truncated."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".zst":
        # pyarrow's stream raises an error for a truncated frame; the reader of zstandard ends silently
        import pyarrow as pa

        return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")))
    return path.open("rb")


def text_field(row: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """The string in the field `name`. Raises `BadLineError` if it is not a string or, without a default, missing or empty."""
    value = row.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise BadLineError(f"`{name}` is {'missing' if name not in row else 'not text, or empty'}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise BadLineError(f"`{name}` contains an unpaired surrogate")
    return value


def write_evidence(files: Sequence[JsonlSource], output: Path) -> None:
    """Write the list of files (see `components.raw_files`) and `metrics/refused.parquet` (source, line, reason) into `output`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_raw([_record(file) for file in files], output)
    refused = [dataclasses.asdict(refusal) for file in files for refusal in file.refusals]
    text, whole = pa.string(), pa.int64()
    refused_schema = pa.schema({"source": text, "line": whole, "reason": text})
    (output / "metrics").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(refused, refused_schema), output / "metrics" / "refused.parquet", compression="zstd")


def _record(file: JsonlSource) -> RawRecord:
    location = file.location
    name, size = PurePath(location).name, size_of(location)
    return RawRecord(source=file.name, path=name, sha256=sha256_at(location), bytes=size, uri=location)
