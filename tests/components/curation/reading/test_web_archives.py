"""Web archives are read into the main text of their pages; other records and damaged archives are handled."""

import gzip
import io
import re
import sys
from pathlib import Path

import pytest
from fastwarc.warc import WarcRecord, WarcRecordType

from components.curation import CurationConfig
from components.curation.reading.readers import RawDocument
from components.curation.reading.web_archives import MAX_NESTING, main_text
from components.errors import ConfigError, SourceError
from tests.components.curation.conftest import config, prose, raw_documents, run, source
from tests.paths import ROOT

ARTICLE = "The bell was rung when the boats came back, and the whole town ran down to the quay to see what they had brought."
CHINESE = "北京是中国的首都，也是全国的政治和文化中心，每年都吸引了大量的游客前来参观。"


def html(text: str) -> str:
    menu = "".join(f"<li><a href='/{n}'>Menu {n}</a></li>" for n in range(20))
    return (
        f"<html><head><title>T</title><script>var x = 1;</script></head><body><nav><ul>{menu}</ul></nav>"
        f"<main><article><h1>Heading</h1><p>{text}</p><p>{text}</p></article></main><footer>© all rights</footer></body></html>"
    )


def record(
    url: str,
    body: bytes,
    content_type: str = "text/html",
    encoding: str = "",
    transfer: str = "",
    status: str = "HTTP/1.1 200 OK",
) -> bytes:
    kind = WarcRecordType.response
    named = {"Content-Type": content_type, "Content-Encoding": encoding, "Transfer-Encoding": transfer}
    headers = f"{status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
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
    return raw_documents(chosen)


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
    documents = read(config(source(tmp_path)))
    assert [document.uri for document in documents] == [f"crawl.warc.gz#{number} http://a.org/{number}" for number in range(1, 5)]
    for document, text in zip(documents, (ARTICLE, CHINESE, ARTICLE, ARTICLE), strict=True):
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


def test_packages_that_are_missing_are_named_with_a_lock_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crawl.warc").write_bytes(record("http://a.org/1", b"x"))
    monkeypatch.setitem(sys.modules, "fastwarc.warc", None)
    with pytest.raises(ConfigError) as caught:
        read(config(source(tmp_path)))
    (lock,) = re.findall(r"install (\S+)", str(caught.value))
    assert "fastwarc" in (ROOT / lock).read_text()


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


def chunked(body: bytes, size: int = 100) -> bytes:
    """A body in chunked encoding, as servers send it and as wget and Heritrix store it."""
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


PLAIN = (ARTICLE * 30).encode()


@pytest.mark.parametrize(
    ("body", "encoding", "text"),
    [
        (chunked(PLAIN), "", PLAIN),
        (chunked(gzip.compress(PLAIN)), "gzip", PLAIN),
        (chunked(PLAIN).replace(b"\r\n", b" ;signed=yes\r\n", 1), "", PLAIN),
        (chunked(PLAIN)[:1000], "", PLAIN[:942]),
        (chunked(PLAIN[:200])[:-5] + b"zz\r\nno chunk", "", PLAIN[:200]),
        (b"ffffffff\r\n" + PLAIN, "", PLAIN),
        (b"f" * 100 + b"\r\n" + PLAIN, "", b"f" * 100 + b"\r\n" + PLAIN),
        (b"-5\r\n" + PLAIN, "", b"-5\r\n" + PLAIN),
        (PLAIN, "", PLAIN),
    ],
    ids=[
        "whole",
        "compressed",
        "with extensions",
        "truncated",
        "broken",
        "endless",
        "of a size without end",
        "of negative length",
        "joined already",
    ],
)
def test_the_chunks_of_a_body_are_joined_up_to_where_they_break_off(
    tmp_path: Path, body: bytes, encoding: str, text: bytes
) -> None:
    page = record("http://a.org/1", body, "text/plain", encoding=encoding, transfer="chunked")
    (tmp_path / "crawl.warc").write_bytes(page + record("http://a.org/2", PLAIN, "text/plain"))
    assert [document.text for document in read(config(source(tmp_path)))] == [text.decode(), PLAIN.decode()]


def test_a_body_of_no_chunks_is_an_empty_document(tmp_path: Path) -> None:
    (tmp_path / "crawl.warc").write_bytes(record("http://a.org/1", chunked(b""), "text/plain", transfer="Chunked"))
    assert [(document.text, document.refusal) for document in read(config(source(tmp_path)))] == [("", "")]


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        ("HTTP/1.1 200 OK", ""),
        ("HTTP/1.0 203 Non-Authoritative Information", ""),
        ("HTTP/1.1 404 Not Found", "http-status"),
        ("HTTP/1.1 301 Moved Permanently", "http-status"),
        ("HTTP/1.1 503 Service Unavailable", "http-status"),
        ("HTTP/1.1", "http-status"),
        ("HTTP/1.1 many words", "http-status"),
    ],
)
def test_only_the_answer_that_was_asked_for_is_a_document(tmp_path: Path, status: str, refusal: str) -> None:
    (tmp_path / "crawl.warc").write_bytes(record("http://a.org/1", html(ARTICLE).encode(), status=status))
    (document,) = read(config(source(tmp_path)))
    assert (document.refusal, ARTICLE in document.text) == (refusal, not refusal)


@pytest.mark.long
def test_error_pages_are_counted_among_the_refusals_of_a_corpus(tmp_path: Path) -> None:
    pages = [record(f"http://a.org/{n}", prose(n).encode(), "text/plain") for n in range(6)]
    pages.append(record("http://a.org/gone", html(ARTICLE).encode(), status="HTTP/1.1 404 Not Found"))
    (tmp_path / "crawl.warc").write_bytes(b"".join(pages))
    assert run(config(source(tmp_path / "crawl.warc")), tmp_path)["not_kept"] == {"http-status": 1}


@pytest.mark.parametrize(
    "page",
    [
        b"<div>" * 200_000 + b"deep",
        ("\ufeff" + "<div>" * 12_000).encode("utf-16"),
        ("\ufeff<p " + "".join(f"a{n}=1 " for n in range(50_000)) + ">text").encode("utf-16-be"),
        b"<div><!--</div>-->" * 40_000,
        b"<div title='</div>'>" * 40_000,
        b"<div><script></div></script>" * 40_000,
        b"<font></span>" * 40_000,
        b"<p-x>" * 40_000,
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
        b"<div>" * (MAX_NESTING - 1) + b"deep",
        "\ufeff<p>ok".encode("utf-16"),
        ("\ufeff" + "<div>" * 12_000).encode("utf-16-le"),
        ("\ufeff" + "<div>" * (MAX_NESTING - 1) + "deep").encode("utf-16-be"),
        b"<meta charset='no-such-charset'><p>caf\xe9",
    ],
)
def test_html_of_death_gives_text_or_none_but_neither_crashes_nor_hangs(page: bytes) -> None:
    for charset in (None, "utf-8", "no-such-charset"):
        text = main_text(page, charset)
        assert text is None or len(text) <= 2 * len(page) + 10
