"""Web archives: WARC records with HTML, whose main text is taken, and WET records, which are text already.

fastwarc parses and resiliparse extracts; both are compiled, and part of the `curation` group. DCLM (arXiv 2406.11794, section
4.2) found models trained on resiliparse's text as good as on trafilatura's, at an eighth of the time.
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

NESTING = 2_000
"""Open elements at once from which a page is refused as `unparsable`. Extraction costs the square of the depth: 5 000 take 0.4 s,
20 000 took 8 s, 100 000 took nine minutes. Chromium's parser stops nesting at 512."""

ATTRIBUTES = 2_000
"""Attributes of one element from which a page is refused so: each is compared with all before it, 50 000 take 7 s."""

_LONG_TAG = re.compile(r"<[^<>]{8000,}")

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")

_CHUNK = re.compile(rb"(?:\r\n)?([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
"""What stands before the bytes of a chunk: the end of the one before, its size, and what few servers add."""

_UNNESTED = frozenset(
    [
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"),
        *("p", "li", "dt", "dd", "option", "tr", "td", "th", "tbody", "thead", "tfoot"),
    ]
)
"""Elements without content, and those that the next of their kind closes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One record of an archive that holds a page."""

    uri: str
    """What was fetched."""
    raw: bytes
    """Its body."""
    text: str
    refusal: str = ""
    """http-status (not 2xx), unparsable, invalid-utf8 or long; then `text` is empty."""


def pages(path: Path, longest: int) -> Iterator[Page]:
    """The HTML and text records of an archive, in its order; other records are passed over.

    Raises:
        ConfigError: the `curation` group is not installed.
        OSError, EOFError, zlib.error, zstandard.ZstdError: the archive is damaged, or ends too early.
        SourceError: it is a compression bomb.
    """
    try:
        from fastwarc.warc import ArchiveIterator, WarcRecordType
    except ImportError as error:
        raise ConfigError(f"{path}: WARC and WET need the group `curation`; install infra/locks/curation.txt") from error
    # Decompressed here, so that truncation and bombs are seen: the parser itself takes the one for the end of the file.
    stream: Any = _Stream(chunks(path))
    kinds = WarcRecordType.response | WarcRecordType.conversion | WarcRecordType.resource
    records = ArchiveIterator(stream, record_types=kinds, parse_http=True, auto_decode="none", stream_detect=False)
    while (record := _next(records, stream)) is not None:
        kind = (record.http_content_type if record.is_http else record.headers.get("Content-Type", "")) or ""
        kind = kind.partition(";")[0].strip().lower()
        if kind in HTML or kind == TEXT:
            page = _page(record, kind, longest)
            # An error of the stream ends the archive for the parser, in the middle of a page.
            stream.raise_error()
            yield page


def _next(records: Any, stream: "_Stream") -> Any:
    try:
        record = next(records, None)
    except BaseException as error:
        stream.raise_error()
        if not _is_panic(error):
            raise
        raise OSError(f"the parser gave up ({error})") from None
    stream.raise_error()
    return record


def _is_panic(error: BaseException) -> bool:
    """Whether compiled Rust failed an assertion of its own: such an error is no `Exception`."""
    return type(error).__name__ == "PanicException"


def main_text(html: bytes, charset: str | None) -> str | None:
    """The main text of a page, or None where the page cannot be parsed."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
    from resiliparse.parse.html import HTMLTree

    try:
        encoding = map_encoding_to_html5(charset or detect_encoding(html, html5_compatible=True) or "utf-8") or "utf-8"
        # Looked at as the parser will see it: in UTF-16 no tag begins with the byte of one.
        decoded = bytes_to_str(html, encoding, errors="replace")
        if _deepest(decoded) > NESTING or any(_is_overloaded(tag) for tag in _LONG_TAG.findall(decoded)):
            return None
        tree = HTMLTree.parse(decoded)
        return None if _is_deep(tree) else str(extract_plain_text(tree, main_content=True, alt_texts=False))
    except BaseException as error:
        # Whatever a compiled parser makes of one page is that page's refusal, not the archive's.
        if isinstance(error, Exception) or _is_panic(error):
            return None
        raise


def _deepest(html: str) -> int:
    """About how many elements are open at once at most."""
    if html.count("<") < NESTING:
        return 0
    depth = deepest = 0
    opened: Counter[str] = Counter()
    for closing, name in _TAG.findall(html):
        name = name.lower()
        # An end without a beginning closes nothing.
        if name in _UNNESTED or (closing and not opened[name]):
            continue
        change = -1 if closing else 1
        opened[name] += change
        depth += change
        deepest = max(deepest, depth)
    return deepest


def _is_deep(tree: Any) -> bool:
    """Whether elements that nobody closes are too many: their tags may stand beside others in comments, scripts and attributes,
    by which text alone does not tell; each is the last in the one before, and a parsed page costs no more than its length."""
    node = tree.body
    for _ in range(NESTING + 1):
        if node is None:
            return False
        node = node.last_child
    return node is not None


def _is_overloaded(tag: str) -> bool:
    """Whether a tag has too many attributes, which white space parts, or slashes (of which an embedded picture has a few too)."""
    return len(tag.split()) > ATTRIBUTES or tag.count("/") > 10 * ATTRIBUTES


def _decoded_body(body: bytes, encoding: str, longest: int) -> bytes | None:
    """The body without its HTTP content encoding, no more than is too long, or None where it is unknown or damaged."""
    if encoding in ("", "identity", "utf-8"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return None
    try:
        # 47: zlib or gzip, by its header.
        return zlib.decompressobj(47).decompress(body, longest + 1)
    except zlib.error:
        return None


class _Stream:
    """What chunks give, as the file that the parser reads."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._given = 0
        self._error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; nothing at the end, or where an error is kept for `raise_error`."""
        while not self._rest:
            try:
                piece = next(self._pieces, None)
            except Exception as error:  # noqa: BLE001 raised again by `raise_error`: compiled code would lose it
                self._error = error
                return b""
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        taken = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(taken) :]
        self._given += len(taken)
        return bytes(taken)

    def tell(self) -> int:
        """Bytes given so far."""
        return self._given

    def raise_error(self) -> None:
        """Raise the error that ended the stream, if one did."""
        if self._error is not None:
            raise self._error


def _page(record: Any, kind: str, longest: int) -> Page:
    uri = record.headers.get("WARC-Target-URI", "") or ""
    if record.is_http and not 200 <= (record.http_headers.status_code or 0) < 300:
        return Page(uri=uri, raw=b"", text="", refusal="http-status")
    body, refusal = _body(record, longest)
    if refusal:
        return Page(uri=uri, raw=b"", text="", refusal=refusal)
    if kind == TEXT:
        try:
            return Page(uri=uri, raw=body, text=body.decode("utf-8-sig"))
        except UnicodeDecodeError:
            return Page(uri=uri, raw=body, text="", refusal="invalid-utf8")
    text = main_text(body, record.http_charset if record.is_http else None)
    return Page(uri=uri, raw=body, text=text or "", refusal="unparsable" if text is None else "")


def _body(record: Any, longest: int) -> tuple[bytes, str]:
    """The body of a record as its server meant it, and why there is none."""
    body: bytes | None = record.reader.read(longest + 1)
    if body and len(body) <= longest and record.is_http:
        if _header(record, "Transfer-Encoding") == "chunked":
            body = _joined(body)
        body = _decoded_body(body, _header(record, "Content-Encoding"), longest)
    if body is None:
        return b"", "unparsable"
    return (body, "") if len(body) <= longest else (b"", "long")


def _header(record: Any, name: str) -> str:
    return (record.http_headers.get(name, "") or "").strip().lower()


def _joined(body: bytes) -> bytes:
    """The chunks of a body together (RFC 9112, section 7.1), up to where they break off; a body without any is as it was, since
    some crawlers join them and keep the header."""
    chunks, place = [], 0
    while (head := _CHUNK.match(body, place)) and (size := int(head[1], 16)):
        place = head.end() + size
        chunks.append(body[head.end() : place])
    return b"".join(chunks) if place or head else body
