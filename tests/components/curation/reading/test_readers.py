"""Every kind of file is read into documents; errors name the file and the line."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from components.curation import CurationConfig
from components.curation.reading.readers import RawDocument
from components.errors import SourceError
from tests.components.curation.conftest import config, prose, raw_documents, source
from tests.components.python_environment.conftest import Install, install

__all__ = ["install"]
TEXTS = [prose(number, 400) for number in range(200)]
LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()


def read(chosen: CurationConfig) -> list[RawDocument]:
    return raw_documents(chosen)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".gz", lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:])),
        (".zst", zstandard.compress),
        (".zst", lambda data: zstandard.compress(data[:1000]) + zstandard.compress(data[1000:])),
    ],
)
def test_json_lines_are_read_plain_and_compressed(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / f"a.jsonl{suffix}").write_bytes(pack(LINES))
    documents = read(config(source(tmp_path)))
    assert [document.text for document in documents] == TEXTS
    assert documents[4].uri == f"a.jsonl{suffix}#5"
    assert json.loads(documents[4].raw)["text"] == TEXTS[4]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
@pytest.mark.parametrize("cut", [-1, -10, 20_000])
def test_a_truncated_compressed_file_is_refused_with_its_name(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], cut: int
) -> None:
    (tmp_path / f"a.jsonl{suffix}").write_bytes(pack(LINES)[:cut])
    with pytest.raises(SourceError, match=rf"a\.jsonl{suffix}: cannot be read to its end .*truncated or damaged"):
        read(config(source(tmp_path), max_bad_lines=0))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_that_is_not_compressed_as_its_name_says_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.jsonl{suffix}").write_bytes(LINES)
    with pytest.raises(SourceError, match="truncated or damaged"):
        read(config(source(tmp_path)))


BAD_LINES = [
    b"{not json",
    b'["text"]',
    b'{"content": "other field"}',
    b'{"text": 5}',
    b'{"text": "  "}',
    b'{"text": "caf\xe9"}',
    b'{"text": "\\ud800"}',
    b"",
    b"[" * 100_000,
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_refused_under_its_number_and_the_rest_is_read(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "one"}\n' + line + b'\n{"text": "three"}')
    documents = read(config(source(tmp_path)))
    assert [(document.uri[-1], document.text, document.refusal) for document in documents] == [
        ("1", "one", ""),
        ("2", "", "bad-line"),
        ("3", "three", ""),
    ]


def test_more_bad_lines_than_allowed_stop_with_file_line_and_limit(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([b'{"text": "one"}', *BAD_LINES]))
    with pytest.raises(SourceError, match=r"a\.jsonl: line 5 is not .* text in 'text'; 4 bad lines, at most 3 allowed"):
        read(config(source(tmp_path), max_bad_lines=3))


def test_the_field_of_the_text_is_the_users(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"content": "hello", "text": 1}\n')
    assert [document.text for document in read(config(source(tmp_path, text_field="content")))] == ["hello"]


def test_parquet_is_read_by_column_and_empty_cells_are_bad_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["one", None, "three", " "], "n": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    documents = read(config(source(tmp_path, text_field="body")))
    assert [(d.text, d.refusal) for d in documents] == [("one", ""), ("", "bad-line"), ("three", ""), ("", "bad-line")]


def test_parquet_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"story": ["one"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"a\.parquet: no column 'text'; its columns are story, n; name the one with the text"):
        read(config(source(tmp_path)))


@pytest.mark.parametrize("name", ["content", "raw_content", "body", "article", "document", "code"])
def test_well_known_names_of_the_text_are_recognised_in_every_format(name: str, tmp_path: Path) -> None:
    table = pa.table({"url": ["http://a"], name: ["hello"]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_stream(tmp_path / "b.arrow", table.schema) as stream:
        stream.write_table(table)
    (tmp_path / "c.jsonl").write_text(json.dumps({"url": "http://a", name: "hello"}) + "\n")
    assert [document.text for document in read(config(source(tmp_path)))] == ["hello"] * 3


def test_a_jsonl_file_without_a_known_field_is_refused_with_the_line_to_write(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"url": "http://a", "story": "hello"}\n')
    with pytest.raises(
        SourceError, match=r"its columns are url, story; name the one with the text, such as Source\(…, text_field="
    ):
        read(config(source(tmp_path)))


@pytest.mark.parametrize("cut", [3, 100, -1])
def test_truncated_parquet_is_refused_with_its_name(tmp_path: Path, cut: int) -> None:
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:cut])
    with pytest.raises(SourceError, match=r"a\.parquet: cannot be read to its end"):
        read(config(source(tmp_path)))


def test_a_text_file_is_one_document_and_one_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffgrüße\r\n".encode())
    (tmp_path / "b.txt").write_bytes("grüße".encode("latin-1"))
    good, bad = read(config(source(tmp_path)))
    assert (good.text, good.refusal) == ("grüße\r\n", "")
    assert (bad.text, bad.refusal, bad.raw) == ("", "invalid-utf8", "grüße".encode("latin-1"))


def test_a_sample_of_rows_skips_without_losing_count_of_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES)
    documents = read(config(source(tmp_path, sample_bytes=len(LINES) // 2)))
    assert 70 < len(documents) < 130
    assert all(document.text == TEXTS[int(document.uri.rpartition("#")[2]) - 1] for document in documents)


def test_a_module_gives_code_and_docstrings_to_those_who_take_them(install: Install) -> None:
    words = "What this module is for, at some length. " * 10
    install(
        "shop",
        {"shop/a.py": f'"""{words}"""\nx = 1\n', "shop/b.py": "y = 1\n", "shop/bad.py": '"""\n', "shop/l.py": b"'\xe9'"},
        description="A shop.",
    )
    install("quiet", {"quiet.py": ""})
    sources = [source("python-environment:", domain, distributions=("shop", "quiet")) for domain in ("code", "prose")]
    texts = {(d.uri.removeprefix("shop/"), d.source_index): (d.text, d.refusal) for d in read(config(*sources))}
    assert texts == {
        ("shop-1.0.dist-info/METADATA", 1): ("A shop.", ""),
        ("shop/a.py", 0): ("x = 1\n", ""),
        ("shop/a.py#L1", 1): (f"shop.a\n\n{words.strip()} \n", ""),
        ("shop/b.py", 0): ("y = 1\n", ""),
        ("shop/bad.py", 0): ("", "unparsable"),
        ("shop/bad.py#docstrings", 1): ("", "unparsable"),
        ("shop/l.py", 0): ("", "invalid-utf8"),
        ("shop/l.py#docstrings", 1): ("", "invalid-utf8"),
    }
