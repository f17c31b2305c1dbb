"""Parses raw files into documents: JSON lines, Parquet, Arrow, web archives, text, and the files of Python packages.

To add a format for all recipes, write a function that yields `RawDocument`s from a `RawFile` and a `Reading`, register it in
`READERS`, and map its suffix to a kind in `components.curation.reading.kinds.KINDS`. To add one for a single recipe, name a
`SourceReader` in `Source.reader`.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from components.curation.reading.columns import TEXT, fields_with_text, text_field_of
from components.curation.reading.config import Reading
from components.curation.reading.kinds import OWN
from components.curation.reading.sources import RawFile
from components.curation.reading.streams import CHUNK, chunks, lines, whole
from components.curation.reading.web_archives import pages
from components.curation.text.draw import draw, group_of, hash_of
from components.errors import ExtensionError, SourceError, single_line
from components.extensions import READER, Extension, failure, load
from components.python_environment import ModuleText, description, module_name, split_module

Row = tuple[bytes, str, str]
"""The bytes of a row, its text, and the reason if it has no text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawDocument:
    """A document as it was read, before normalisation."""

    source_index: int
    """Index of its source in the config."""
    uri: str
    """Name of the document inside its source: the path of the file and, if the file has many documents, `#` and the document's
    position; for a web page also its URL."""
    text: str
    raw: bytes
    """The bytes that the document was read from: a line, a file or a cell."""
    refusal: str = ""
    """Why it has no text: bad-line, invalid-utf8, unparsable, http-status or long; empty if it has text."""


class SourceReader(Protocol):
    """The interface of a recipe's own reader."""

    def read(self, path: Path) -> Iterator[str | None]:
        """Yield the text of each document in the order of the file, or None for a record without text, which counts as a bad
        line.

        If it raises an exception, the file is set aside.
        """
        ...


def read_documents(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    """The documents of one file, in the order of the file.

    Raises:
        SourceError: the file cannot be read to its end, or has more bad lines than the config allows.
    """
    try:
        yield from READERS[file.kind](file, reading)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, pa.ArrowInvalid, OSError) as error:
        reason = single_line(error)
        raise SourceError(f"{file.location}: cannot be read to its end ({reason}); it may be truncated or damaged") from error


def _read_jsonl(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    source, path = reading.sources[file.source_indices[0]], Path(file.location)
    names = fields_with_text(lines(chunks(path), reading.limits.max_document_bytes))
    # without any text in its first lines, the file is judged by its bad lines
    field = text_field_of(source, names, file.location) if names and source.text_field == TEXT else source.text_field
    data = chunks(path)
    rows = (_row_of_line(line, field) for line in lines(data, reading.limits.max_document_bytes))
    yield from _rows(file, reading, rows, f"a JSON object with text in {field!r}")


def _row_of_line(line: bytes | None, field: str) -> Row:
    if line is None:
        return b"", "", "long"
    text = _text_of_line(line, field)
    return line, text or "", "" if text else "bad-line"


def _read_parquet(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    source = reading.sources[file.source_indices[0]]
    field = text_field_of(source, pq.read_schema(file.location).names, file.location)
    with pq.ParquetFile(file.location, read_dictionary=_flat(file.location, field)) as table:
        rows = (_row_of_cell(cell, reading.limits.max_document_bytes) for cell in _cells(table, field))
        yield from _rows(file, reading, rows, f"text in column {field!r}")


def _flat(location: str, field: str) -> list[str]:
    """The columns to read as dictionaries: the text column, unless it is nested or missing.

    As a dictionary, a text that a thousand rows share is in memory once; otherwise memory could exceed every size in the file.
    """
    with pq.ParquetFile(location) as table:
        paths = [table.schema.column(number).path for number in range(len(table.schema))]
    return [path for path in paths if path == field]


def _cells(table: pq.ParquetFile, field: str) -> Iterator[Any]:
    """The cells of a column, read in batches of about `CHUNK` bytes, estimated from the metadata of the row groups."""
    for number in range(table.num_row_groups):
        group = table.metadata.row_group(number)
        rows = max(1, min(1024, CHUNK * group.num_rows // max(1, group.total_byte_size)))
        for batch in table.iter_batches(batch_size=rows, row_groups=[number], columns=[field]):
            yield from _values(batch.column(0))


def _values(column: pa.Array) -> Iterator[Any]:
    # Converted row by row, since converting the whole column would copy a shared text once per row.
    return (column[number].as_py() for number in range(len(column)))


def _row_of_cell(cell: Any, max_bytes: int) -> Row:
    if not isinstance(cell, str) or not cell.strip():
        return b"", "", "bad-line"
    raw = cell.encode()
    return (raw, cell, "") if len(raw) <= max_bytes else (b"", "", "long")


def _read_arrow(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    """Documents from a stream of record batches, the format of saved Hugging Face datasets."""
    source = reading.sources[file.source_indices[0]]
    with pa.memory_map(file.location) as data, pa.ipc.open_stream(data) as stream:
        field = text_field_of(source, stream.schema.names, file.location)
        cells = (cell for batch in stream for cell in _values(batch.column(field)))
        rows = (_row_of_cell(cell, reading.limits.max_document_bytes) for cell in cells)
        yield from _rows(file, reading, rows, f"text in column {field!r}")


def _read_warc(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    """Documents with the main text of each page, named `PATH#NUMBER URL`."""
    for number, page in enumerate(pages(Path(file.location), reading.limits.max_document_bytes), start=1):
        if not _is_taken(file, reading, page.text, page.raw):
            continue
        uri = f"{file.path}#{number} {page.uri}"
        yield RawDocument(source_index=file.source_indices[0], uri=uri, text=page.text, raw=page.raw, refusal=page.refusal)


def _rows(file: RawFile, reading: Reading, rows: Iterator[Row], wanted: str) -> Iterator[RawDocument]:
    bad = 0
    for number, (raw, text, refusal) in enumerate(rows, start=1):
        if not _is_taken(file, reading, text, raw):
            continue
        bad += refusal == "bad-line"
        if bad > reading.limits.max_bad_lines:
            allowed = f"{bad} bad lines, at most {reading.limits.max_bad_lines} allowed (curation.reading.max_bad_lines)"
            raise SourceError(f"{file.location}: line {number} is not {wanted}; {allowed}")
        uri = f"{file.path}#{number}"
        yield RawDocument(source_index=file.source_indices[0], uri=uri, text=text, raw=raw, refusal=refusal)


def _read_own(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    extension = reading.sources[file.source_indices[0]].reader
    assert extension is not None, f"{file.path} is of the kind {file.kind}, and its source has no reader"
    cells = _own_cells(extension, Path(file.location), f"{file.path} of source {file.source}")
    rows = (_row_of_cell(cell, reading.limits.max_document_bytes) for cell in cells)
    yield from _rows(file, reading, rows, f"a document with text, according to the reader {extension.code}")


def _own_cells(extension: Extension, path: Path, name: str) -> Iterator[str | None]:
    """The texts that a recipe's own reader yields for a file; a text that is not valid Unicode becomes None.

    Raises:
        SourceError: the reader raised an exception; the file is considered damaged and set aside.
        ExtensionError: the reader yields something other than texts, which is not the file's fault.
    """
    reader: SourceReader = load(extension, READER)
    number = 0
    try:
        for number, text in enumerate(reader.read(path), start=1):
            if text is not None and not isinstance(text, str):
                wanted = f"document {number} of {name}; it must be {READER.form}"
                raise ExtensionError(f"reader {extension.code} yielded {type(text).__name__} for {wanted}")
            yield text if text is None or _is_unicode(text) else None
    except (ExtensionError, GeneratorExit):
        raise
    except Exception as error:
        raise SourceError(str(failure(extension, READER, error, f"after document {number} of {name}"))) from error


def _is_unicode(text: str) -> bool:
    """Whether a text can be encoded; a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_taken(file: RawFile, reading: Reading, text: str, raw: bytes) -> bool:
    """Whether a row is in the sample. This depends only on its text, not on its file or position."""
    return file.row_share >= 1 or draw(reading.seed, group_of(hash_of(text.encode() or raw))) < file.row_share


def _read_text(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    raw = whole(chunks(Path(file.location)), reading.limits.max_document_bytes)
    text = None if raw is None else _decoded(raw)
    refusal = "long" if raw is None else "invalid-utf8" if text is None else ""
    yield RawDocument(source_index=file.source_indices[0], uri=file.path, text=text or "", raw=raw or b"", refusal=refusal)


def _read_module(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    """A document with the code of a module, named by its path, and one for each docstring, named `PATH#L` and the line number."""
    raw = Path(file.location).read_bytes()
    module, refusal = ModuleText(code="", docstrings=()), ""
    try:
        module = split_module(raw.decode("utf-8-sig"), module_name(file.path.partition("/")[2]))
    except UnicodeDecodeError:
        refusal = "invalid-utf8"
    except SyntaxError:
        refusal = "unparsable"
    for source_index in file.source_indices:
        if reading.sources[source_index].domain == "code":
            if module.code or refusal:
                yield RawDocument(source_index=source_index, uri=file.path, text=module.code, raw=raw, refusal=refusal)
        elif refusal:
            yield RawDocument(source_index=source_index, uri=f"{file.path}#docstrings", text="", raw=raw, refusal=refusal)
        else:
            for docstring in module.docstrings:
                uri, text = f"{file.path}#L{docstring.line}", docstring.text
                yield RawDocument(source_index=source_index, uri=uri, text=text, raw=text.encode())


def _read_description(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
    for document in _read_text(file, reading):
        text = description(document.text)
        if text or document.refusal:
            yield replace(document, text=text)


READERS: dict[str, Callable[[RawFile, Reading], Iterator[RawDocument]]] = {
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "arrow": _read_arrow,
    "warc": _read_warc,
    "text": _read_text,
    "module": _read_module,
    "description": _read_description,
    OWN: _read_own,
}
"""Reader for each kind of `RawFile`."""


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
        text.encode()  # raises for a lone surrogate, which a JSON escape can produce
    except (ValueError, RecursionError):
        return None
    return text
