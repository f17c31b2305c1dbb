"""Reads web archives: the main text of HTML pages in WARC files, and the plain text of WET files.

fastwarc parses the archives and resiliparse extracts the text; both are compiled libraries in the dependency group `curation`.
DCLM (arXiv 2406.11794, section 4.2) found that models trained on resiliparse's text are as good as on trafilatura's, at an eighth
of the time.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.curation.reading.streams import chunks
from components.errors import ConfigError

HTML = ("text/html", "application/xhtml+xml")
TEXT = "text/plain"

MAX_NESTING = 2_000
"""Maximum depth of nested elements; deeper pages are refused as `unparsable`. Extraction time is quadratic in the depth: 5 000
levels take 0.4 s, 20 000 take 8 s, 100 000 take nine minutes. Chromium's parser stops nesting at 512."""

MAX_ATTRIBUTES = 2_000
"""Maximum attributes of an element; pages with more are refused as `unparsable`. The parser compares each attribute with all
before it: 50 000 take 7 s."""

_LONG_TAG = re.compile(r"<[^<>]{8000,}")

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")

_CHUNK = re.compile(rb"(?:\r\n)?([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
"""The header of a chunk in HTTP's chunked encoding: the end of the previous chunk, the size, and optional extensions."""

_UNNESTED = frozenset(
    [
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"),
        *("p", "li", "dt", "dd", "option", "tr", "td", "th", "tbody", "thead", "tfoot"),
    ]
)
"""Elements that do not nest: void elements, and those that the next element of their kind closes implicitly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page from a record of an archive."""

    uri: str
    """The URL of the page."""
    raw: bytes
    """The body of the record, decoded."""
    text: str
    refusal: str = ""
    """Why the page has no text: http-status (not 2xx), unparsable, invalid-utf8 or long; empty if it has text."""


def pages(path: Path, max_bytes: int) -> Iterator[Page]:
    """The pages of an archive (records with HTML or plain text), in order; other records are skipped.

    Raises:
        ConfigError: the dependency group `curation` is not installed.
        OSError, EOFError, zlib.error, zstandard.ZstdError: the archive is damaged or truncated.
        SourceError: it is a decompression bomb.
    """
    try:
        from fastwarc.warc import ArchiveIterator, WarcRecordType
    except ImportError as error:
        what = f"{path}: WARC and WET files need the dependency group `curation`"
        raise ConfigError(f"{what}; install infra/locks/curation.txt") from error
    # Decompressed here, not by the parser, which treats truncation as the end of the file and does not detect bombs.
    stream: Any = _Stream(chunks(path))
    kinds = WarcRecordType.response | WarcRecordType.conversion | WarcRecordType.resource
    records = ArchiveIterator(stream, record_types=kinds, parse_http=True, auto_decode="none", stream_detect=False)
    while (record := _next(records, stream)) is not None:
        kind = (record.http_content_type if record.is_http else record.headers.get("Content-Type", "")) or ""
        kind = kind.partition(";")[0].strip().lower()
        if kind in HTML or kind == TEXT:
            page = _page(record, kind, max_bytes)
            # The parser treats an error of the stream as the end of the archive, so a page may be incomplete.
            stream.raise_error()
            yield page


def _next(records: Any, stream: "_Stream") -> Any:
    try:
        record = next(records, None)
    except BaseException as error:
        stream.raise_error()
        if not _is_panic(error):
            raise
        raise OSError(f"the parser of web archives panicked ({error})") from None
    stream.raise_error()
    return record


def _is_panic(error: BaseException) -> bool:
    """Whether an error is a panic of Rust code, which is a `BaseException` but not an `Exception`."""
    return type(error).__name__ == "PanicException"


def main_text(html: bytes, charset: str | None) -> str | None:
    """The main text of a page, or None if the page cannot be parsed."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
    from resiliparse.parse.html import HTMLTree

    try:
        encoding = map_encoding_to_html5(charset or detect_encoding(html, html5_compatible=True) or "utf-8") or "utf-8"
        # The limits are checked on the decoded page, since in UTF-16 a tag does not start with a single `<` byte.
        decoded = bytes_to_str(html, encoding, errors="replace")
        if _depth(decoded) > MAX_NESTING or any(_is_overloaded(tag) for tag in _LONG_TAG.findall(decoded)):
            return None
        tree = HTMLTree.parse(decoded)
        return None if _is_deep(tree) else str(extract_plain_text(tree, main_content=True, alt_texts=False))
    except BaseException as error:
        # Whatever the compiled parser raises, only this page is refused, not the whole archive.
        if isinstance(error, Exception) or _is_panic(error):
            return None
        raise


def _depth(html: str) -> int:
    """Approximate maximum depth of nested elements; 0 if the page has too few tags to exceed `MAX_NESTING`."""
    if html.count("<") < MAX_NESTING:
        return 0
    depth = deepest = 0
    opened: Counter[str] = Counter()
    for closing, name in _TAG.findall(html):
        name = name.lower()
        # An end tag without a start tag is ignored.
        if name in _UNNESTED or (closing and not opened[name]):
            continue
        change = -1 if closing else 1
        opened[name] += change
        depth += change
        deepest = max(deepest, depth)
    return deepest


def _is_deep(tree: Any) -> bool:
    """Whether more than `MAX_NESTING` elements are nested because they are never closed.

    The source cannot show this reliably, since comments, scripts and attributes may contain tags too. In the parsed page, each
    unclosed element is the last child of the one before. Parsing is linear in the length of the page.
    """
    node = tree.body
    for _ in range(MAX_NESTING + 1):
        if node is None:
            return False
        node = node.last_child
    return node is not None


def _is_overloaded(tag: str) -> bool:
    """Whether a tag has too many attributes, which are separated by white space or slashes.

    The limit for slashes is higher, since an embedded image contains some too.
    """
    return len(tag.split()) > MAX_ATTRIBUTES or tag.count("/") > 10 * MAX_ATTRIBUTES


def _decoded_body(body: bytes, encoding: str, max_bytes: int) -> bytes | None:
    """The body with its HTTP content encoding removed, truncated to `max_bytes` + 1; None if it is unknown or damaged."""
    if encoding in ("", "identity", "utf-8"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return None
    try:
        # 47 = 32 + 15: detect zlib or gzip from the header, with the largest window.
        return zlib.decompressobj(47).decompress(body, max_bytes + 1)
    except zlib.error:
        return None


class _Stream:
    """A file object over chunks of bytes, for the parser."""

    def __init__(self, data: Iterator[bytes]) -> None:
        self._data = data
        self._rest = memoryview(b"")
        self._offset = 0
        self._error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end, or after an error, which `raise_error` raises later."""
        while not self._rest:
            try:
                chunk = next(self._data, None)
            except Exception as error:  # noqa: BLE001 `raise_error` raises it again, since the compiled parser would swallow it
                self._error = error
                return b""
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        taken = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(taken) :]
        self._offset += len(taken)
        return bytes(taken)

    def tell(self) -> int:
        """Bytes read so far."""
        return self._offset

    def raise_error(self) -> None:
        """Raise the error that ended the stream, if one did."""
        if self._error is not None:
            raise self._error


def _page(record: Any, kind: str, max_bytes: int) -> Page:
    uri = record.headers.get("WARC-Target-URI", "") or ""
    if record.is_http and not 200 <= (record.http_headers.status_code or 0) < 300:
        return Page(uri=uri, raw=b"", text="", refusal="http-status")
    body, refusal = _body(record, max_bytes)
    if refusal:
        return Page(uri=uri, raw=b"", text="", refusal=refusal)
    if kind == TEXT:
        try:
            return Page(uri=uri, raw=body, text=body.decode("utf-8-sig"))
        except UnicodeDecodeError:
            return Page(uri=uri, raw=body, text="", refusal="invalid-utf8")
    text = main_text(body, record.http_charset if record.is_http else None)
    return Page(uri=uri, raw=body, text=text or "", refusal="unparsable" if text is None else "")


def _body(record: Any, max_bytes: int) -> tuple[bytes, str]:
    """The decoded body of a record, and the reason if there is none."""
    body: bytes | None = record.reader.read(max_bytes + 1)
    if body and len(body) <= max_bytes and record.is_http:
        if _header(record, "Transfer-Encoding") == "chunked":
            body = _joined(body)
        body = _decoded_body(body, _header(record, "Content-Encoding"), max_bytes)
    if body is None:
        return b"", "unparsable"
    return (body, "") if len(body) <= max_bytes else (b"", "long")


def _header(record: Any, name: str) -> str:
    return (record.http_headers.get(name, "") or "").strip().lower()


def _joined(body: bytes) -> bytes:
    """Join the chunks of a body in chunked encoding (RFC 9112, section 7.1), up to the first invalid chunk.

    A body without chunks is returned unchanged, since some crawlers decode the body but keep the header.
    """
    chunks, end = [], 0
    while (head := _CHUNK.match(body, end)) and (size := int(head[1], 16)):
        end = head.end() + size
        chunks.append(body[head.end() : end])
    return b"".join(chunks) if end or head else body
