"""Raw files taken apart into documents: JSON lines, Parquet, text, and the parts of Python packages."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from components.curation.config import CurationConfig
from components.curation.sources import RawFile, draw
from components.errors import SourceError
from components.python_environment import ModuleText, description, module_name, split_module

CHUNK = 1 << 20
"""Bytes read at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawDocument:
    """A document as it was found."""

    taker: int
    """Position of its source in the config."""
    uri: str
    text: str
    raw: bytes
    """The bytes that hold it: a line, a file, or a cell."""
    refusal: str = ""
    """Why it cannot be a document at all: bad-line, invalid-utf8 or unparsable; then `text` is empty."""


def read_documents(file: RawFile, config: CurationConfig) -> Iterator[RawDocument]:
    """The documents of one file, in its order.

    Raises:
        SourceError: it cannot be read to its end, or holds more bad lines than the config allows.
    """
    try:
        yield from READERS[file.kind](file, config)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{file.location}: cannot be read to its end ({reason}); is it truncated or damaged?") from error


def _read_jsonl(file: RawFile, config: CurationConfig) -> Iterator[RawDocument]:
    field = config.sources[file.takers[0]].text_field
    rows = ((line, _text_of_line(line, field)) for line in _lines(_chunks(Path(file.location))))
    yield from _rows(file, config, rows, f"a JSON object with text in {field!r}")


def _read_parquet(file: RawFile, config: CurationConfig) -> Iterator[RawDocument]:
    field = config.sources[file.takers[0]].text_field
    with pq.ParquetFile(file.location) as table:
        names = table.schema_arrow.names
        if field not in names:
            raise SourceError(f"{file.location}: no column {field!r}; Source.text_field must be one of {', '.join(names)}")
        cells = (cell for batch in table.iter_batches(batch_size=1024, columns=[field]) for cell in batch.column(0).to_pylist())
        rows = ((cell.encode(), cell) if isinstance(cell, str) and cell.strip() else (b"", None) for cell in cells)
        yield from _rows(file, config, rows, f"text in column {field!r}")


def _rows(file: RawFile, config: CurationConfig, rows: Iterator[tuple[bytes, str | None]], wanted: str) -> Iterator[RawDocument]:
    bad = 0
    for number, (raw, text) in enumerate(rows, start=1):
        uri = f"{file.uri}#{number}"
        if file.row_share < 1 and draw(config.seed, uri) >= file.row_share:
            continue
        if text is None:
            bad += 1
            if bad > config.max_bad_lines:
                allowed = f"{bad} bad lines, at most {config.max_bad_lines} allowed (curation.max_bad_lines)"
                raise SourceError(f"{file.location}: line {number} is not {wanted}; {allowed}")
        refusal = "bad-line" if text is None else ""
        yield RawDocument(taker=file.takers[0], uri=uri, text=text or "", raw=raw, refusal=refusal)


def _read_text(file: RawFile, config: CurationConfig) -> Iterator[RawDocument]:
    raw = b"".join(_chunks(Path(file.location)))
    text = _decoded(raw)
    refusal = "invalid-utf8" if text is None else ""
    yield RawDocument(taker=file.takers[0], uri=file.uri, text=text or "", raw=raw, refusal=refusal)


def _read_module(file: RawFile, config: CurationConfig) -> Iterator[RawDocument]:
    """Code under the file's own URI, each of its docstrings under `URI#LLINE`."""
    raw = Path(file.location).read_bytes()
    found, refusal = ModuleText(code="", docstrings=()), ""
    try:
        found = split_module(raw.decode("utf-8-sig"), module_name(file.uri.partition("/")[2]))
    except UnicodeDecodeError:
        refusal = "invalid-utf8"
    except SyntaxError:
        refusal = "unparsable"
    for taker in file.takers:
        if config.sources[taker].domain == "code":
            if found.code or refusal:
                yield RawDocument(taker=taker, uri=file.uri, text=found.code, raw=raw, refusal=refusal)
        elif refusal:
            yield RawDocument(taker=taker, uri=f"{file.uri}#docstrings", text="", raw=raw, refusal=refusal)
        for one in found.docstrings if config.sources[taker].domain != "code" else ():
            yield RawDocument(taker=taker, uri=f"{file.uri}#L{one.line}", text=one.text, raw=one.text.encode())


def _read_description(file: RawFile, config: CurationConfig) -> Iterator[RawDocument]:
    for document in _read_text(file, config):
        text = description(document.text)
        if text or document.refusal:
            yield replace(document, text=text)


READERS: dict[str, Callable[[RawFile, CurationConfig], Iterator[RawDocument]]] = {
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "text": _read_text,
    "module": _read_module,
    "description": _read_description,
}
"""How each kind of `RawFile` is read."""


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _text_of_line(line: bytes, field: str) -> str | None:
    try:
        row = json.loads(line)
        text = row.get(field) if isinstance(row, dict) else None
        if not isinstance(text, str) or not text.strip():
            return None
        text.encode()  # escapes can spell half a surrogate pair, which is no text
    except (ValueError, RecursionError):
        return None
    return text


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, decompressed by its suffix."""
    with path.open("rb") as stream:
        if path.suffix == ".gz":
            yield from _pieces(gzip.GzipFile(fileobj=stream))
        elif path.suffix == ".zst":
            yield from _zstandard_chunks(stream)
        else:
            yield from _pieces(stream)


def _pieces(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while piece := stream.read(CHUNK):
        yield piece


def _zstandard_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    # The library's own stream reader takes the end of the file for the end of the frame, so truncation would pass unseen.
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    whole = True
    for piece in _pieces(stream):
        while piece:
            if frame.eof:
                frame = decompressor.decompressobj()
            yield frame.decompress(piece)
            whole, piece = frame.eof, frame.unused_data
    if not whole:
        raise EOFError("the file ends inside a zstandard frame")
