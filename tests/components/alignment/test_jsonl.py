"""A user's JSONL: every refusal has its line, and a file that breaks off is never taken for whole."""

import gzip
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.alignment.jsonl import JsonlSource, named_files, text_field, write_evidence
from components.errors import SourceError
from components.locations import sha256_at, size_of


def text_of(row: Mapping[str, Any]) -> str:
    """What the tests ask of a line."""
    return text_field(row, "text")


def read(uri: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Numbered rows and refusals."""
    source = JsonlSource(uri)
    rows = list(source.rows(text_of))
    return rows, [(refusal.line, refusal.detail) for refusal in source.refusals]


def zstd(data: bytes) -> bytes:
    """One Zstandard frame."""
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


@pytest.mark.parametrize(("suffix", "compress"), [("", bytes), (".gz", gzip.compress), (".zst", zstd)])
def test_plain_gzip_and_zstandard_files_give_the_same_rows(
    suffix: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(b'{"text": "one"}\n\n{"text": "two"}'))
    assert read(str(path)) == read(f"file://{path}") == ([(1, "one"), (3, "two")], [])


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("damage", ["truncated", "not compressed"])
def test_a_truncated_or_damaged_source_is_refused_with_its_name(
    suffix: str, compress: Callable[[bytes], bytes], damage: str, tmp_path: Path
) -> None:
    data = b"".join(b'{"text": "%s"}\n' % os.urandom(20).hex().encode() for _ in range(500))
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(data)[:-200] if damage == "truncated" else data)
    with pytest.raises(SourceError, match=rf"a\.jsonl{suffix}: cannot be read to its end .* truncated or damaged"):
        read(str(path))


BAD = [
    (b"{", "invalid-json", "invalid JSON"),
    (b"[" * 100_000, "invalid-json", "recursion"),
    (b'{"text": ' + b"9" * 5_000 + b"}", "invalid-json", "digits"),
    (b'{"text": "\xff"}', "invalid-text", "invalid UTF-8 at byte 11"),
    (b"\x00", "invalid-json", "invalid JSON"),
    ([1], "wrong-type", "not a JSON object"),
    ({"words": "x"}, "missing-field", "`text` is missing"),
    ({"text": None}, "missing-field", "`text` is null"),
    ({"text": 3}, "wrong-type", "`text` is int, not text"),
    ({"text": " "}, "empty-field", "`text` is empty"),
    ({"text": "\ud800"}, "invalid-text", "surrogate"),
]


def test_a_bad_line_costs_itself_and_is_refused_with_number_reason_and_detail(jsonl: Callable[..., str]) -> None:
    source = JsonlSource(jsonl([*(line for line, _, _ in BAD), {"text": "good"}]))
    assert list(source.rows(text_of)) == [(len(BAD) + 1, "good")]
    assert [(refusal.line, refusal.reason) for refusal in source.refusals] == [
        (number, reason) for number, (_, reason, _) in enumerate(BAD, start=1)
    ]
    assert all(words in refusal.detail for refusal, (_, _, words) in zip(source.refusals, BAD, strict=True))


def test_however_many_lines_are_bad_the_others_are_read_and_the_record_counts_by_reason(jsonl: Callable[..., str]) -> None:
    source = JsonlSource(jsonl([{}] * 300 + [b"{"] * 200 + [{"text": "good"}]))
    assert [row for _, row in source.rows(text_of)] == ["good"]
    rows = source.tally.omissions().rows
    assert [(row.source, row.unit, row.reason, row.count, row.total) for row in rows] == [
        ("user.jsonl", "lines", "missing-field", 300, 501),
        ("user.jsonl", "lines", "invalid-json", 200, 501),
    ]
    assert str(rows[1].cases[0]).startswith("user.jsonl#301: invalid JSON")


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "data",
    [
        MARK + b'{"text": "a"}\n{"text": "b"}\n',
        b'{"text": "a"}\r\n{"text": "b"}\r\n',
        b'{"text": "a"}\r{"text": "b"}\r',
        b'{"text": "a"}\n' + MARK + b'{"text": "b"}',
        b'{"text": "a"}\r\r\n{"text": "b"}',
        b'  {"text": "a"} \n{"text": "b"}\n \n\n',
    ],
    ids=["mark", "windows", "old mac", "joined files", "doubled", "spaces"],
)
def test_byte_order_marks_and_line_ends_cost_no_line(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    assert read(str(path)) == ([(1, "a"), (2, "b")], [])


def test_blank_lines_keep_their_numbers(jsonl: Callable[..., str]) -> None:
    assert read(jsonl([{"text": "a"}, b"", b" \t", {"text": "b"}])) == ([(1, "a"), (4, "b")], [])


def test_a_file_in_another_encoding_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"text": "a"}\n'.encode("utf-16"))
    with pytest.raises(SourceError, match="no usable line; the first is line 1: UTF-16, not UTF-8"):
        read(str(path))


def test_a_default_stands_for_a_field_that_is_missing_or_null() -> None:
    assert [text_field(row, "text", "default") for row in ({}, {"text": None}, {"text": ""})] == ["default", "default", ""]


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nowhere.jsonl", "no such file"),
        ("ftp://bucket/a.jsonl", "allowed: a path or s3://"),
        ("empty.jsonl", "the file is empty"),
    ],
)
def test_a_source_that_is_not_there_or_empty_is_refused(
    uri: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(SourceError, match=message):
        read(uri)


def test_a_file_without_a_usable_line_is_refused_with_the_first_reason(jsonl: Callable[..., str]) -> None:
    with pytest.raises(SourceError, match="no usable line; the first is line 1: `text` is missing"):
        read(jsonl([{}]))


def test_evidence_holds_the_hash_of_each_file_and_every_refusal(jsonl: Callable[..., str], tmp_path: Path) -> None:
    source = JsonlSource(jsonl([{"text": "good"}, {}]))
    list(source.rows(text_of))
    write_evidence([source], tmp_path)
    raw, refused = pq.read_table(tmp_path / "raw.parquet"), pq.read_table(tmp_path / "metrics" / "refused.parquet")
    assert raw.to_pylist() == [
        {"source": "user.jsonl", "path": "user.jsonl", "sha256": sha256_at(source.location), "bytes": size_of(source.location)}
    ]
    assert refused.to_pylist() == [{"source": "user.jsonl", "line": 2, "reason": "missing-field", "detail": "`text` is missing"}]


def test_files_are_named_by_as_much_of_their_paths_as_tells_them_apart_wherever_they_lie() -> None:
    for root in ("/data", "file:///elsewhere/deep"):
        files = named_files([f"{root}/a/chats.jsonl", f"{root}/b/chats.jsonl", f"{root}/b/more.jsonl.gz"])
        assert [file.name for file in files] == ["a/chats.jsonl", "b/chats.jsonl", "more.jsonl.gz"]
    with pytest.raises(SourceError, match=r"/data/a\.jsonl: listed twice"):
        named_files(["/data/a.jsonl", "file:///data/a.jsonl"])
