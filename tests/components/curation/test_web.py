"""Web archives give the main text of their pages, and what is no page or no archive is told."""

import gzip
import io
import re
from pathlib import Path

import pytest
from fastwarc.warc import WarcRecord, WarcRecordType

from components.curation import CurationConfig
from components.curation.readers import RawDocument, read_documents
from components.curation.sources import list_files
from components.curation.web import NESTING, main_text
from components.errors import SourceError
from tests.components.curation.conftest import config, source

ARTICLE = "The bell was rung when the boats came back, and the whole town ran down to the quay to see what they had brought."
CHINESE = "北京是中国的首都，也是全国的政治和文化中心，每年都吸引了大量的游客前来参观。"


def html(text: str) -> str:
    menu = "".join(f"<li><a href='/{n}'>Menu {n}</a></li>" for n in range(20))
    return (
        f"<html><head><title>T</title><script>var x = 1;</script></head><body><nav><ul>{menu}</ul></nav>"
        f"<main><article><h1>Heading</h1><p>{text}</p><p>{text}</p></article></main><footer>© all rights</footer></body></html>"
    )


def record(url: str, body: bytes, content_type: str = "text/html", encoding: str = "") -> bytes:
    kind = WarcRecordType.response
    headers = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n" + (f"Content-Encoding: {encoding}\r\n" if encoding else "")
    made = WarcRecord()
    made.init_headers(content_length=len(body), record_type=kind)
    made.headers["WARC-Target-URI"] = url
    made.headers["Content-Type"] = "application/http; msgtype=response"
    made.set_bytes_content(headers.encode() + b"\r\n" + body)
    return _written(made)


def conversion(url: str, text: bytes) -> bytes:
    made = WarcRecord()
    made.init_headers(content_length=len(text), record_type=WarcRecordType.conversion)
    made.headers["WARC-Target-URI"] = url
    made.headers["Content-Type"] = "text/plain"
    made.set_bytes_content(text)
    return _written(made)


def _written(made: WarcRecord) -> bytes:
    output = io.BytesIO()
    made.write(output)
    return output.getvalue()


def read(chosen: CurationConfig) -> list[RawDocument]:
    return [document for file in list_files(chosen).files for document in read_documents(file, chosen)]


@pytest.mark.parametrize("members", [True, False])
def test_a_warc_gives_the_main_text_of_its_pages_in_order(tmp_path: Path, members: bool) -> None:
    records = [
        record("http://a.org/1", html(ARTICLE).encode()),
        record("http://a.org/logo.png", b"\x89PNG", "image/png"),
        record("http://a.org/2", html(CHINESE).encode("gb18030"), "text/html; charset=gb18030"),
        record("http://a.org/3", gzip.compress(html(ARTICLE).encode()), encoding="gzip"),
        record("http://a.org/4", ARTICLE.encode(), "text/plain; charset=utf-8"),
    ]
    packed = b"".join(map(gzip.compress, records)) if members else gzip.compress(b"".join(records))
    (tmp_path / "crawl.warc.gz").write_bytes(packed)
    found = read(config(source(tmp_path)))
    assert [document.uri for document in found] == [
        f"{tmp_path}/crawl.warc.gz#{number} http://a.org/{number}" for number in range(1, 5)
    ]
    for document, text in zip(found, (ARTICLE, CHINESE, ARTICLE, ARTICLE), strict=True):
        assert text in document.text
        assert not re.search("Menu|rights|var x", document.text)


def test_a_wet_gives_its_texts(tmp_path: Path) -> None:
    records = [conversion("http://a.org/1", ARTICLE.encode()), conversion("http://a.org/2", b"\xff\xfe\xff")]
    (tmp_path / "crawl.warc.wet.gz").write_bytes(b"".join(map(gzip.compress, records)))
    assert [(document.text, document.refusal) for document in read(config(source(tmp_path)))] == [
        (ARTICLE, ""),
        ("", "invalid-utf8"),
    ]


def test_a_truncated_archive_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "crawl.warc.gz").write_bytes(gzip.compress(record("http://a.org/1", html(ARTICLE).encode()))[:-20])
    with pytest.raises(SourceError, match=r"crawl\.warc\.gz: cannot be read to its end"):
        read(config(source(tmp_path)))


def test_a_page_of_a_longer_body_than_allowed_is_refused_without_the_others(tmp_path: Path) -> None:
    records = [record("http://a.org/1", html("x" * 100_000).encode()), record("http://a.org/2", html(ARTICLE).encode())]
    (tmp_path / "crawl.warc").write_bytes(b"".join(records))
    assert [document.refusal for document in read(config(source(tmp_path), max_document_bytes=10_000))] == ["long", ""]


@pytest.mark.parametrize(
    ("body", "encoding", "refusal"),
    [
        (b"\x1f\x8b broken", "gzip", "unparsable"),
        (b"x", "no-such-encoding", "unparsable"),
        (gzip.compress(b"x" * 10_000_000), "gzip", "long"),
    ],
)
def test_a_body_that_cannot_be_decoded_or_is_a_bomb_is_refused(tmp_path: Path, body: bytes, encoding: str, refusal: str) -> None:
    (tmp_path / "crawl.warc").write_bytes(record("http://a.org/1", body, encoding=encoding))
    (document,) = read(config(source(tmp_path), max_document_bytes=1_000_000))
    assert (document.text, document.refusal) == ("", refusal)


@pytest.mark.parametrize(
    "page",
    [
        b"<div>" * 200_000 + b"deep",
        b"<b>" * 200_000,
        b"<table><tr><td>" * 100_000,
        b"<svg><g>" * 100_000,
        b"<p " + b"".join(b"a%d=1 " % n for n in range(50_000)) + b">text",
        b"<p " + b"".join(b"a%d=1/" % n for n in range(50_000)) + b">text",
    ],
)
def test_a_page_of_endless_nesting_or_attributes_is_refused_at_once(page: bytes) -> None:
    assert main_text(page, None) is None


@pytest.mark.long
@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<",
        b"\x00" * 100_000,
        b"<!--" * 100_000,
        b"<a href='" + b"x" * 1_000_000,
        b"<p " + b"".join(b"a%d=1 " % n for n in range(1_900)) + b">text",
        b"<p>" * 200_000,
        b"<li>" * 200_000,
        b"&" * 500_000,
        b"<![CDATA[" * 100_000,
        b"<script>" * 1_500,
        b"<div>" * (NESTING - 1) + b"deep",
        "\ufeff<p>ok".encode("utf-16"),
        b"<meta charset='no-such-charset'><p>caf\xe9",
    ],
)
def test_html_of_death_gives_text_or_none_but_neither_crashes_nor_hangs(page: bytes) -> None:
    for charset in (None, "utf-8", "no-such-charset"):
        text = main_text(page, charset)
        assert text is None or len(text) <= 2 * len(page) + 10
