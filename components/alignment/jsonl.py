"""Reading a user's JSONL, line by line, with every refusal counted; and writing JSONL, equal bytes for equal rows.

Plain, gzip and Zstandard files are read, told apart by their names (.gz, .zst).
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
    """A line that cannot be used; its message is the reason. It never leaves this package."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One line that was refused."""

    source: str
    """Name of the file."""
    line: int
    """From 1."""
    reason: str


def named_files(uris: Sequence[str], max_bad_lines: int) -> list["JsonlSource"]:
    """The files of a config, each named by the shortest end of its path that tells it from the others, wherever they lie.

    Raises:
        SourceError: a file is named twice.
    """
    ends = ends_of(uris)
    for uri, end in zip(uris, ends, strict=True):
        if ends.count(end) > 1:
            raise SourceError(f"{uri}: named twice in `sources`; name it once")
    return [JsonlSource(uri, max_bad_lines, end) for uri, end in zip(uris, ends, strict=True)]


@dataclass
class JsonlSource:
    """One JSONL file and what was refused of it."""

    uri: str
    """A local path, with or without file://, or a URI in a bucket."""
    max_bad_lines: int
    name: str = ""
    """What its lines are called, wherever it lies; the file's own name unless it is given."""
    refusals: list[Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.name or PurePath(self.uri).name

    @property
    def location(self) -> str:
        """Where the file is: an absolute path, or a URI in a bucket.

        Raises:
            SourceError: no such file, an empty one, or a kind of URI that cannot be read.
            StoreError: the object store cannot be reached, or refuses.
        """
        name = self.uri.removeprefix("file://")
        if "://" in name and not in_bucket(name):
            raise SourceError(
                f"{self.uri}: cannot be read; allowed: a path or {' or '.join(BUCKETS)} to JSONL (plain, .gz or .zst)"
            )
        location = name if in_bucket(name) else str(Path(name).expanduser().absolute())
        if not in_bucket(name) and not Path(location).is_file():
            raise SourceError(f"{self.uri}: no such file; give a path to JSONL (plain, .gz or .zst)")
        if size_of(location) == 0:
            raise SourceError(f"{self.uri}: the file is empty; give JSONL with at least one usable line")
        return location

    def rows(self, parse: Callable[[Mapping[str, Any]], Row]) -> Iterator[tuple[int, Row]]:
        """Line numbers (from 1) and what `parse` made of the JSON object on each line; blank lines are skipped.

        `parse` raises `BadLineError` for an object that it cannot use.

        Raises:
            SourceError: a file that cannot be read to its end, more unusable lines than the limit, or no usable line.
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
        """The file's lines, decompressed. A truncated file is refused, even if lines of it were read."""
        try:
            with fetched_file(self.location) as path, _open(path) as stream:
                yield from stream
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self.uri}: cannot be read to its end ({error}); it is truncated or damaged") from error


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
    """A stream of decompressed bytes that ends without an error only if the last frame is complete."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".zst":
        # pyarrow's stream treats a cut frame as an error; zstandard's own reader ends silently there.
        import pyarrow as pa

        return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")))
    return path.open("rb")


def text_field(row: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """The text under `name`. Raises `BadLineError` where it is missing (without a default), empty, or no text."""
    value = row.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise BadLineError(f"`{name}` is {'missing' if name not in row else 'not text, or empty'}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise BadLineError(f"`{name}` holds half a surrogate pair")
    return value


def write_evidence(files: Sequence[JsonlSource], output: Path) -> None:
    """Write the tables of `components.raw_files`, and `metrics/refused.parquet` (source, line, reason)."""
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
