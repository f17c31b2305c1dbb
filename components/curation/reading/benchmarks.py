"""Reads the items of benchmarks from JSON, JSONL, CSV and Parquet files."""

import csv
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import zstandard

from components.curation.reading.config import Benchmark
from components.curation.reading.streams import chunks, whole
from components.errors import SourceError
from components.locations import FileEntry, fetched, find

KINDS = (".jsonl", ".json", ".csv", ".parquet")
PARSE_ERRORS = (ValueError, LookupError, TypeError, OSError, EOFError, RecursionError, csv.Error, zlib.error, zstandard.ZstdError)
"""Exceptions that parsers and decompressors raise for a file with unexpected contents."""

MAX_FILE_BYTES = 1 << 30
"""Maximum decompressed size of a JSON, JSONL or CSV file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One question of a benchmark."""

    benchmark: str
    file: str
    """Path of the file below the benchmark's URI."""
    number: int
    """Index of the item in the file, from 0."""
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


def items_of(benchmark: Benchmark, scratch: Path) -> Iterator[Item]:
    """The items of all files of a benchmark, in the order of the files; `scratch` holds files fetched from a bucket.

    Raises:
        SourceError: there is no readable file, a file cannot be read, or a record lacks one of `Benchmark.fields`.
    """
    for file in files_of(benchmark):
        with fetched(file.location, scratch) as path:
            number = 0
            try:
                for record in _records(path):
                    yield _item(benchmark, file.relative, number, record)
                    number += 1
            except PARSE_ERRORS as error:
                what = f"benchmark {benchmark.name}: {file.location} cannot be read after {number} complete items"
                raise SourceError(f"{what} ({type(error).__name__}: {error}); repair or remove it") from error


def _item(benchmark: Benchmark, file: str, number: int, record: Any) -> Item:
    serialised = json.dumps(record, ensure_ascii=False, default=str)
    serialised.encode()  # raises for a lone surrogate, which a JSON escape can produce
    return Item(benchmark=benchmark.name, file=file, number=number, text=_text(record, benchmark.fields), record=serialised)


def _kind(location: str) -> str:
    suffixes = [suffix for suffix in PurePath(location).suffixes if suffix not in (".gz", ".zst")]
    return suffixes[-1] if suffixes and suffixes[-1] in KINDS else ""


def _records(path: Path) -> Iterator[Any]:
    kind = _kind(path.name)
    if kind == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.read_table(path).to_pylist()
        return
    data = whole(chunks(path), MAX_FILE_BYTES)
    if data is None:
        raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
    text = data.decode("utf-8-sig")
    if kind == ".jsonl":
        yield from (json.loads(line) for line in text.split("\n") if line.strip())
    elif kind == ".csv":
        yield from csv.DictReader(io.StringIO(text))
    else:
        yield from _listed(json.loads(text))


def _listed(value: Any) -> list[Any]:
    """The items of a JSON value: the value itself if it is a list, else its longest list, since some files have metadata too."""
    if isinstance(value, list):
        return value
    lists = [inner for inner in value.values() if isinstance(inner, list)] if isinstance(value, dict) else []
    return max(lists, key=len) if lists else [value]


def _text(record: Any, fields: tuple[str, ...]) -> str:
    if fields:
        if not isinstance(record, dict):
            raise TypeError(f"an item is {type(record).__name__}; Benchmark.fields needs an object with {', '.join(fields)}")
        record = [record[field] for field in fields]
    return "\n".join(_strings(record))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
