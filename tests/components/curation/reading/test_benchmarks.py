"""Benchmark items are read from all supported formats; errors name a damaged file and the position."""

import gzip
import json
import re
from pathlib import Path

import pytest

from components.artifacts import OmissionTally
from components.curation import Benchmark
from components.curation.reading import benchmarks
from components.curation.reading.benchmarks import files_of, items_of
from components.errors import SourceError


def test_every_form_of_file_gives_its_items(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"q": "one", "n": 1}\n\n{"q": "two"}\n'))
    (tmp_path / "b.json").write_text(json.dumps({"about": "x", "examples": [{"input": "three", "target": ["four"]}]}))
    (tmp_path / "c.csv").write_text('question,answer\n"five, six",A\n')
    (tmp_path / "LICENSE").write_text("no item")
    items = list(items_of(Benchmark(name="all", uri=str(tmp_path)), tmp_path))
    assert [(item.file, item.number, item.text) for item in items] == [
        ("a.jsonl.gz", 0, "one"),
        ("a.jsonl.gz", 2, "two"),
        ("b.json", 0, "three\nfour"),
        ("c.csv", 0, "five, six\nA"),
    ]
    (item,) = items_of(Benchmark(name="c", uri=str(tmp_path / "c.csv"), fields=("question",)), tmp_path)
    assert (item.file, item.text) == ("c.csv", "five, six")


def test_a_benchmark_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{broken\n")
    with pytest.raises(SourceError, match=r"benchmark maths: no usable item; the first is a\.jsonl#1: invalid JSON"):
        list(items_of(Benchmark(name="maths", uri=str(tmp_path)), tmp_path))
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(SourceError, match=r"benchmark maths: no readable file at .*; allowed: \.jsonl, \.json"):
        list(items_of(Benchmark(name="maths", uri=str(tmp_path)), tmp_path))


@pytest.mark.parametrize(
    ("name", "data", "position"),
    [
        ("a.csv", b"q\none\n" + b"x" * 200_000 + b"\n", r"after 1 items \(Error: field larger"),
        ("a.json", b"[" * 100_000, r"after 0 items \(RecursionError"),
        ("a.jsonl.zst", b"no zstandard", r"after 0 items \(ZstdError"),
        ("a.jsonl.gz", gzip.compress(b'"one"\n' * 99, mtime=0)[:-12] + b"x" * 12, r"after 0 items \("),
        ("a.parquet", b"PAR1", r"after 0 items \(ArrowInvalid"),
    ],
)
def test_a_damaged_benchmark_is_named_with_its_position(tmp_path: Path, name: str, data: bytes, position: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=rf"benchmark maths: .*/{re.escape(name)} cannot be read {position}"):
        list(items_of(Benchmark(name="maths", uri=str(tmp_path)), tmp_path))


@pytest.mark.parametrize(
    ("name", "data", "reason", "number"),
    [
        ("a.jsonl", b'{"q": "one"}\n{"p": "two"}\n{"q": "three"}\n', "missing-field", 2),
        ("a.jsonl", b'{"q": "one"}\n\n{broken\n{"q": "three"}\n', "invalid-json", 3),
        ("a.jsonl", b'{"q": "one"}\r\n' + b"[" * 100_000 + b'\r\n{"q": "three"}', "invalid-json", 2),
        ("a.jsonl", b'\xef\xbb\xbf{"q": "one"}\r{"q": "\xff"}\r{"q": "three"}', "invalid-text", 2),
        ("a.jsonl", b'{"q": "one"}\n{"q": "\\ud83d"}\n{"q": "three"}\n', "invalid-text", 2),
        ("a.json", b'[{"q": "one"}, "two", {"q": "three"}]', "wrong-type", 2),
        ("a.csv", b"q,a\none,1\ntwo\nthree,3\n", "wrong-columns", 2),
        ("a.csv", b"q,a\none,1\ntwo,2,3\nthree,3\n", "wrong-columns", 2),
        ("a.csv", b"q,a\r\none,1\r\n\xff,2\r\nthree,3\r\n", "invalid-text", 2),
    ],
)
def test_an_item_that_cannot_be_read_costs_itself_and_is_named(
    tmp_path: Path, name: str, data: bytes, reason: str, number: int
) -> None:
    (tmp_path / name).write_bytes(data)
    tally = OmissionTally()
    items = list(items_of(Benchmark(name="maths", uri=str(tmp_path), fields=("q",)), tmp_path, tally))
    assert [item.text for item in items] == ["one", "three"]
    (row,) = tally.omissions().rows
    assert (row.source, row.unit, row.reason, row.count, row.total) == ("maths", "benchmark items", reason, 1, 3)
    assert row.cases[0].uri == f"{name}#{number}"


def test_files_of_other_kinds_are_no_files_of_a_benchmark(tmp_path: Path) -> None:
    for name in ("LICENSE", "b.csv.gz", "a.jsonl", "picture.png"):
        (tmp_path / name).write_bytes(b"x")
    assert [file.relative for file in files_of(Benchmark(name="all", uri=str(tmp_path)))] == ["a.jsonl", "b.csv.gz"]


def test_the_longest_list_of_a_json_file_holds_its_items(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"authors": ["one"], "items": ["two", "three"]}))
    assert [item.text for item in items_of(Benchmark(name="all", uri=str(tmp_path)), tmp_path)] == ["two", "three"]


def test_an_item_keeps_the_whole_record_also_where_fields_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"q": "six times seven", "a": "四十二"}) + "\n")
    (item,) = items_of(Benchmark(name="all", uri=str(tmp_path), fields=("q",)), tmp_path)
    assert (item.text, json.loads(item.record)["a"]) == ("six times seven", "四十二")


def test_a_file_that_is_too_large_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks, "MAX_FILE_BYTES", 8)
    (tmp_path / "a.jsonl").write_text('"123456789"\n')
    with pytest.raises(SourceError, match=r"a\.jsonl cannot be read after 0 items \(ValueError: more than 8 bytes\)"):
        list(items_of(Benchmark(name="maths", uri=str(tmp_path)), tmp_path))
