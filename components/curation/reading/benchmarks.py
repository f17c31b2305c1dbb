"""Reads the items of benchmarks from JSON, JSONL, CSV and Parquet files.

An item that cannot be read is left out and recorded; a file that cannot be read to its end is an error.
"""

import csv
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import zstandard

from components.artifacts import OmissionCase, OmissionTally
from components.curation.reading.config import Benchmark
from components.curation.reading.streams import chunks, whole
from components.errors import SourceError
from components.locations import FileEntry, fetched, find

KINDS = (".jsonl", ".json", ".csv", ".parquet")
PARSE_ERRORS = (ValueError, LookupError, TypeError, OSError, EOFError, RecursionError, csv.Error, zlib.error, zstandard.ZstdError)
"""Exceptions that parsers and decompressors raise for a file with unexpected contents."""

UNIT = "benchmark items"
"""Unit of the omissions of benchmarks."""

MAX_FILE_BYTES = 1 << 30
"""Maximum decompressed size of a JSON, JSONL or CSV file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One question of a benchmark."""

    benchmark: str
    file: str
    """Path of the file below the benchmark's URI."""
    number: int
    """Index of the item in the file, from 0; in a JSONL file, of its line."""
    text: str
    """The text to search for."""
    record: str
    """The whole record as JSON."""


def files_of(benchmark: Benchmark) -> list[FileEntry]:
    """The files of a benchmark with a known suffix, sorted. Raises `SourceError` if there are none."""
    files = [file for file in find(benchmark.uri, benchmark.name) if _kind(file.location)]
    if not files:
        raise SourceError(f"benchmark {benchmark.name}: no readable file at {benchmark.uri}; allowed: {', '.join(KINDS)}")
    return files


class UnreadableItemError(Exception):
    """An item cannot be used. Only raised and caught within this module."""

    def __init__(self, reason: str, detail: str) -> None:
        """`reason` is the name under which such items are counted; `detail` says what is wrong with this one."""
        super().__init__(detail)
        self.reason = reason


def items_of(benchmark: Benchmark, scratch: Path, tally: OmissionTally | None = None) -> Iterator[Item]:
    """The items of all files of a benchmark, in the order of the files; `scratch` holds files fetched from a bucket.

    An item that is not JSON or lacks one of `Benchmark.fields` is left out and recorded in `tally`.

    Raises:
        SourceError: there is no readable file, a file cannot be read to its end, or the benchmark has no usable item.
    """
    counted, usable = tally or OmissionTally(), 0
    first = ""
    for file in files_of(benchmark):
        with fetched(file.location, scratch) as path:
            number = -1
            try:
                for number, record in _records(path):
                    counted.add(benchmark.name, UNIT)
                    try:
                        item = _item(benchmark, file.relative, number, record)
                    except UnreadableItemError as error:
                        case = OmissionCase(uri=f"{file.relative}#{number + 1}", detail=str(error))
                        counted.omit(benchmark.name, UNIT, error.reason, case, _setting(error))
                        first = first or str(case)
                        continue
                    usable += 1
                    yield item
            except PARSE_ERRORS as error:
                what = f"benchmark {benchmark.name}: {file.location} cannot be read after {number + 1} items"
                raise SourceError(f"{what} ({type(error).__name__}: {error}); repair or remove it") from error
    if not usable:
        raise SourceError(f"benchmark {benchmark.name}: no usable item" + (f"; the first is {first}" if first else ""))


def _setting(error: UnreadableItemError) -> str:
    return "curation.filtering.benchmarks" if error.reason == "missing-field" else ""


def _item(benchmark: Benchmark, file: str, number: int, record: Any) -> Item:
    if isinstance(record, UnreadableItemError):
        raise record
    serialised = json.dumps(record, ensure_ascii=False, default=str)
    try:
        serialised.encode()
    except UnicodeEncodeError as error:
        raise UnreadableItemError("invalid-text", "invalid UTF-8, or an unpaired surrogate") from error
    return Item(benchmark=benchmark.name, file=file, number=number, text=_text(record, benchmark.fields), record=serialised)


def _kind(location: str) -> str:
    suffixes = [suffix for suffix in PurePath(location).suffixes if suffix not in (".gz", ".zst")]
    return suffixes[-1] if suffixes and suffixes[-1] in KINDS else ""


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """The records of a file with their indices; a `UnreadableItemError` for a record that cannot be parsed."""
    kind = _kind(path.name)
    if kind == ".parquet":
        import pyarrow.parquet as pq

        yield from enumerate(pq.read_table(path).to_pylist())
        return
    data = whole(chunks(path), MAX_FILE_BYTES)
    if data is None:
        raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
    # Bytes that are not UTF-8 become surrogates, which `_item` refuses in the items that have them.
    text = data.decode("utf-8-sig", errors="surrogateescape")
    if kind == ".jsonl":
        # JSON texts contain no carriage return, so each is a line end, also without a newline.
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from ((number, _parsed(line)) for number, line in enumerate(lines) if line.strip())
    elif kind == ".csv":
        yield from ((number, _complete(row)) for number, row in enumerate(csv.DictReader(io.StringIO(text, newline=""))))
    else:
        yield from enumerate(_listed(json.loads(text)))


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return UnreadableItemError("invalid-json", f"invalid JSON ({error})")


def _complete(row: dict[Any, Any]) -> Any:
    """The row, or an error if it has more or fewer values than the header has names."""
    complete = None not in row and None not in row.values()
    return row if complete else UnreadableItemError("wrong-columns", "more or fewer values than the header has names")


def _listed(value: Any) -> list[Any]:
    """The items of a JSON value: the value itself if it is a list, else its longest list, since some files have metadata too."""
    if isinstance(value, list):
        return value
    lists = [inner for inner in value.values() if isinstance(inner, list)] if isinstance(value, dict) else []
    return max(lists, key=len) if lists else [value]


def _text(record: Any, fields: tuple[str, ...]) -> str:
    if fields:
        if not isinstance(record, dict):
            wanted = f"Benchmark.fields needs an object with {', '.join(fields)}"
            raise UnreadableItemError("wrong-type", f"an item is {type(record).__name__}; {wanted}")
        if missing := [field for field in fields if field not in record]:
            raise UnreadableItemError("missing-field", f"no field {missing[0]!r}; it has {', '.join(map(str, record))}")
        record = [record[field] for field in fields]
    return "\n".join(_strings(record))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
