"""What curation leaves out is recorded by source and reason, and said loudly where it is much."""

import json
from pathlib import Path

from components.artifacts import Omissions
from components.curation import Benchmark
from tests.components.curation.conftest import config, prose, run, source, write_jsonl


def test_a_source_that_loses_most_of_its_documents_is_a_warning_with_the_field_to_change(tmp_path: Path) -> None:
    texts = [prose(number) for number in range(30)] + ["too short"] * 78
    web = write_jsonl(tmp_path / "web.jsonl", texts)
    books = write_jsonl(tmp_path / "books.jsonl", [prose(number) for number in range(100, 130)])
    figures = run(config(source(web), source(books)), tmp_path)
    assert figures["warnings"] == [
        "web: 78 of 108 documents (72 %) left out as short; the first is web.jsonl#31; change curation.filtering.min_characters"
    ]
    (row,) = Omissions.read(tmp_path / "corpus").rows
    assert (row.source, row.unit, row.reason, row.count, row.total) == ("web", "documents", "short", 78, 108)
    assert len(row.cases) == 3


def test_bad_lines_copies_and_files_of_unknown_kinds_are_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    write_jsonl(folder / "a.jsonl", [*(prose(number) for number in range(30)), prose(0), None])
    (folder / "notes.pdf").write_bytes(b"%PDF")
    run(config(source(folder)), tmp_path)
    rows = {row.reason: row for row in Omissions.read(tmp_path / "corpus").rows}
    assert {reason: (row.unit, row.count, row.total) for reason, row in rows.items()} == {
        "bad-line": ("documents", 1, 32),
        "exact-duplicate": ("documents", 1, 32),
        "unknown-suffix": ("files", 1, 2),
    }
    assert rows["bad-line"].cases[0].uri == "a.jsonl#32"
    assert rows["unknown-suffix"].cases[0].uri == "notes.pdf"


def test_a_file_that_is_set_aside_is_recorded_with_its_error(tmp_path: Path) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    write_jsonl(folder / "a.jsonl", [prose(number) for number in range(30)])
    (folder / "b.jsonl.gz").write_bytes(b"no gzip")
    run(config(source(folder), max_read_attempts=1), tmp_path)
    (row,) = [row for row in Omissions.read(tmp_path / "corpus").rows if row.reason == "set-aside"]
    assert (row.unit, row.count, row.total) == ("files", 1, 2)
    assert row.cases[0].uri == "b.jsonl.gz"
    assert "cannot be read to its end" in row.cases[0].detail


def test_items_of_a_benchmark_that_cannot_be_read_are_recorded_and_the_others_are_searched_for(tmp_path: Path) -> None:
    lines = [json.dumps({"q": prose(number)}) for number in range(500, 506)]
    (tmp_path / "quiz.jsonl").write_text("\n".join([*lines[:3], "{broken", *lines[3:]]))
    web = write_jsonl(tmp_path / "web.jsonl", [*(prose(number) for number in range(30)), prose(505)])
    figures = run(config(source(web), benchmarks=(Benchmark(name="quiz", uri=str(tmp_path / "quiz.jsonl")),)), tmp_path)
    assert figures["benchmark_items"] == 6
    assert figures["not_kept"]["contaminated"] == 1
    rows = {row.unit: row for row in Omissions.read(tmp_path / "corpus").rows}
    assert (rows["benchmark items"].source, rows["benchmark items"].count, rows["benchmark items"].total) == ("quiz", 1, 7)
    assert rows["benchmark items"].cases[0].uri == "quiz.jsonl#4"


def test_the_record_does_not_depend_on_the_size_of_shards(tmp_path: Path) -> None:
    texts = [prose(number) if number % 2 else f"short {number}" for number in range(80)]
    web = write_jsonl(tmp_path / "web.jsonl", texts)
    records = []
    for size in (3_000, 1_000_000):
        run(config(source(web), shard_bytes=size), tmp_path / str(size))
        records.append((tmp_path / str(size) / "corpus" / Omissions.NAME).read_bytes())
    assert records[0] == records[1]
