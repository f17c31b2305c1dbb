"""Reads a user's JSONL files line by line; a line that cannot be used is left out and recorded.

Files may be plain or compressed with gzip (.gz) or Zstandard (.zst). Blank lines, byte order marks and the line ends of Windows
and of old Macs are accepted.
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

from components.artifacts import OmissionCase, OmissionTally
from components.errors import SourceError
from components.file_names import ends_of
from components.locations import BUCKETS, fetched_file, in_bucket, pinned, sha256_at, size_of
from components.raw_files import RawRecord, write_raw

Row = TypeVar("Row")

LINES = "lines"
"""Unit of the omissions of a file."""

MAX_LISTED = 10_000
"""Refused lines of a file that are listed in `metrics/refused.parquet`; others are only counted."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Written at the start of UTF-8 files by some programs."""

INVALID_TEXT = "invalid-text"
"""Reason of a line that is not UTF-8, or has half of a surrogate pair."""

INVALID_JSON = "invalid-json"
MISSING_FIELD = "missing-field"
EMPTY_FIELD = "empty-field"
WRONG_TYPE = "wrong-type"
WRONG_VALUE = "wrong-value"


class BadLineError(Exception):
    """A line cannot be used. Only raised and caught within this package."""

    def __init__(self, reason: str, detail: str) -> None:
        """`reason` is the name under which such lines are counted; `detail` says what is wrong with this one."""
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that was refused."""

    source: str
    """Name of the file."""
    line: int
    """Line number, from 1."""
    reason: str
    """Name under which such lines are counted."""
    detail: str
    """What is wrong with the line."""


def named_files(uris: Sequence[str], tally: OmissionTally | None = None) -> list["JsonlSource"]:
    """The files of a config, whose lines are counted in `tally`.

    Each is named by the shortest end of its path that no other has, so moving them keeps the names.

    Raises:
        SourceError: a file is listed twice.
    """
    ends = ends_of(uris)
    for uri, end in zip(uris, ends, strict=True):
        if ends.count(end) > 1:
            raise SourceError(f"{uri}: listed twice in `sources`; list it once")
    counted = tally or OmissionTally()
    return [JsonlSource(uri, end, counted) for uri, end in zip(uris, ends, strict=True)]


@dataclass
class JsonlSource:
    """One JSONL file, and the lines of it that were refused."""

    uri: str
    """A local path, with or without file://, or a URI in a bucket."""
    name: str = ""
    """Name of the file in ids and records; empty: the last part of its path."""
    tally: OmissionTally = field(default_factory=OmissionTally)
    """Counts the lines that were read and refused so far."""
    refusals: list[Refusal] = field(default_factory=list)
    """Lines that were refused so far, at most `MAX_LISTED`."""

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
        location = pinned(name) if in_bucket(name) else str(Path(name).expanduser().absolute())
        if not in_bucket(name) and not Path(location).is_file():
            raise SourceError(f"{self.uri}: no such file; give the path of a JSONL file (plain, .gz or .zst)")
        if size_of(location) == 0:
            raise SourceError(f"{self.uri}: the file is empty; it must have at least one usable line of JSON")
        return location

    def rows(self, parse: Callable[[Mapping[str, Any]], Row]) -> Iterator[tuple[int, Row]]:
        """Yield the number (from 1) of each usable line and the result of `parse` for its JSON object; blank lines are skipped.

        `parse` must raise `BadLineError` for an object that it cannot use.

        Raises:
            SourceError: the file cannot be read to its end, or has no usable line.
        """
        usable = 0
        for number, line in enumerate(self._lines(), start=1):
            if not line.strip():
                continue
            self.tally.add(self.name, LINES)
            try:
                row = parse(_json_object(line))
            except BadLineError as error:
                self._refuse(number, error)
                continue
            usable += 1
            yield number, row
        if not usable:
            first = f"; the first is line {self.refusals[0].line}: {self.refusals[0].detail}" if self.refusals else ""
            raise SourceError(f"{self.uri}: no usable line{first}")

    def _refuse(self, number: int, error: BadLineError) -> None:
        self.tally.omit(self.name, LINES, error.reason, OmissionCase(uri=f"{self.name}#{number}", detail=str(error)))
        if len(self.refusals) < MAX_LISTED:
            self.refusals.append(Refusal(self.name, number, error.reason, str(error)))

    def _lines(self) -> Iterator[bytes]:
        """The decompressed lines of the file. Raises `SourceError` for a truncated file, even after lines of it were read."""
        try:
            with fetched_file(self.location) as path, _open(path) as stream:
                for line in stream:
                    # JSON texts contain no carriage return, so each is a line end, also without a newline.
                    yield from line.rstrip(b"\r\n").removeprefix(BYTE_ORDER_MARK).split(b"\r")
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self.uri}: cannot be read to its end ({error}); the file is truncated or damaged") from error


def _json_object(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        encoding = "UTF-16, not UTF-8" if line[:2] in (b"\xff\xfe", b"\xfe\xff") else f"invalid UTF-8 at byte {error.start + 1}"
        raise BadLineError(INVALID_TEXT, encoding) from error
    except (ValueError, RecursionError) as error:
        raise BadLineError(INVALID_JSON, f"invalid JSON ({error})") from error
    if not isinstance(value, dict):
        raise BadLineError(
            WRONG_TYPE, "not a JSON object" + (": each line must be one object" if isinstance(value, list) else "")
        )
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
    """The string in the field `name`; `default`, if given, where the field is missing or null.

    Raises `BadLineError` if it is not a string or, without a default, missing or empty.
    """
    value = row.get(name)
    if value is None and default is not None:
        return default
    if value is None:
        raise BadLineError(MISSING_FIELD, f"`{name}` is {'null' if name in row else 'missing'}")
    if not isinstance(value, str):
        raise BadLineError(WRONG_TYPE, f"`{name}` is {type(value).__name__}, not text")
    if default is None and not value.strip():
        raise BadLineError(EMPTY_FIELD, f"`{name}` is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadLineError(INVALID_TEXT, f"`{name}` contains an unpaired surrogate") from error
    return value


def write_evidence(files: Sequence[JsonlSource], output: Path) -> None:
    """Write the list of files (see `components.raw_files`) and `metrics/refused.parquet` (the columns of `Refusal`)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_raw([_record(file) for file in files], output)
    refused = [dataclasses.asdict(refusal) for file in files for refusal in file.refusals]
    text, whole = pa.string(), pa.int64()
    refused_schema = pa.schema({"source": text, "line": whole, "reason": text, "detail": text})
    (output / "metrics").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(refused, refused_schema), output / "metrics" / "refused.parquet", compression="zstd")


def _record(file: JsonlSource) -> RawRecord:
    location = file.location
    name, size = PurePath(location).name, size_of(location)
    return RawRecord(source=file.name, path=name, sha256=sha256_at(location), bytes=size, uri=location)
