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


def read(uri: str, max_bad_lines: int = 100) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Numbered rows and refusals."""
    source = JsonlSource(uri, max_bad_lines)
    rows = list(source.rows(text_of))
    return rows, [(refusal.line, refusal.reason) for refusal in source.refusals]


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


def test_bad_lines_are_refused_with_number_and_reason_and_the_others_are_read(jsonl: Callable[..., str]) -> None:
    bad = [b"{", b'{"text": "\xff"}', [1], {"words": "x"}, {"text": 3}, {"text": " "}, {"text": "\ud800"}]
    rows, refused = read(jsonl([*bad, {"text": "good"}]))
    assert rows == [(8, "good")]
    assert [line for line, _ in refused] == [1, 2, 3, 4, 5, 6, 7]
    expected = ("invalid JSON", "invalid UTF-8 at byte 11", "not a JSON object", "missing", "not text", "empty", "surrogate")
    assert all(word in reason for word, (_, reason) in zip(expected, refused, strict=True))


def test_more_bad_lines_than_allowed_end_the_run_and_name_the_first(jsonl: Callable[..., str]) -> None:
    uri = jsonl([{"text": "good"}, {}, {}, {}])
    assert len(read(uri, max_bad_lines=3)[1]) == 3
    with pytest.raises(SourceError, match=r"3 unusable lines, allowed: 2 \(max_bad_lines\); the first is line 2: `text` is"):
        read(uri, max_bad_lines=2)


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
    source = JsonlSource(jsonl([{"text": "good"}, {}]), 1)
    list(source.rows(text_of))
    write_evidence([source], tmp_path)
    raw, refused = pq.read_table(tmp_path / "raw.parquet"), pq.read_table(tmp_path / "metrics" / "refused.parquet")
    assert raw.to_pylist() == [
        {"source": "user.jsonl", "path": "user.jsonl", "sha256": sha256_at(source.location), "bytes": size_of(source.location)}
    ]
    assert refused.to_pylist() == [{"source": "user.jsonl", "line": 2, "reason": "`text` is missing"}]


def test_files_are_named_by_as_much_of_their_paths_as_tells_them_apart_wherever_they_lie() -> None:
    for root in ("/data", "file:///elsewhere/deep"):
        files = named_files([f"{root}/a/chats.jsonl", f"{root}/b/chats.jsonl", f"{root}/b/more.jsonl.gz"], 0)
        assert [file.name for file in files] == ["a/chats.jsonl", "b/chats.jsonl", "more.jsonl.gz"]
    with pytest.raises(SourceError, match=r"/data/a\.jsonl: listed twice"):
        named_files(["/data/a.jsonl", "file:///data/a.jsonl"], 0)
