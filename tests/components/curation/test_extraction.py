"""The first pass over a shard leaves everything that later steps need, and a finished shard is not read again."""

import hashlib
from pathlib import Path

import pytest

from components.curation.extraction import SHARD_BITS, Extracted, extract, shards_of
from components.curation.sources import list_files
from components.errors import SourceError
from tests.components.curation.conftest import config, prose, rows, source, write_jsonl


def extracted(tmp_path: Path, **fields: int) -> list[Extracted]:
    chosen = config(source(tmp_path / "data", licence="MIT"), **fields)
    return [extract(shard) for shard in shards_of(list_files(chosen).files, chosen, tmp_path / "scratch")]


def test_texts_carry_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text(prose(1) + " \r\n")
    (shard,) = extracted(tmp_path)
    (document,) = rows(shard.texts[0])
    uri, raw = f"{tmp_path}/data/a.txt", prose(1) + " \r\n"
    assert document == {
        "document": 0,
        "id": hashlib.sha256(f"{tmp_path}/data\0{uri}\0{raw}".encode()).hexdigest(),
        "text": prose(1) + "\n",
        "source": f"{tmp_path}/data",
        "uri": uri,
        "group": "",
        "domain": "prose",
        "language": "en",
        "licence": "MIT",
        "sha256": hashlib.sha256(raw.encode()).hexdigest(),
        "bytes": len(prose(1)) + 1,
    }
    (listed,) = rows(shard.raw)
    assert listed == {"source": f"{tmp_path}/data", "uri": uri, "sha256": document["sha256"], "bytes": len(raw)}


def test_every_document_read_has_a_row_and_only_those_that_passed_a_number(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [prose(1), "short", None, prose(2)])
    (shard,) = extracted(tmp_path)
    assert [(row["document"], row["reason"], row["uri"][-2:]) for row in rows(shard.rows)] == [
        (0, "", "#1"),
        (-1, "short", "#2"),
        (-1, "bad-line", "#3"),
        (1, "", "#4"),
    ]
    assert (shard.documents, shard.parts) == (2, 1)


def test_small_files_share_a_shard_of_the_configured_size(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(4):
        (tmp_path / f"data/{number}.txt").write_text(prose(number))
    chosen = config(source(tmp_path / "data"), shard_bytes=2 * len(prose(0)) + 10)
    shards = shards_of(list_files(chosen).files, chosen, tmp_path)
    assert [[Path(file.location).stem for file in shard.files] for shard in shards] == [["0", "1"], ["2", "3"]]


def test_the_texts_of_a_large_file_are_written_in_parts(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [prose(number) for number in range(10)])
    (shard,) = extracted(tmp_path, shard_bytes=3 * len(prose(0)))
    parts = [rows(part) for part in shard.texts]
    assert all(sum(row["bytes"] for row in part) >= 3 * len(prose(0)) for part in parts[:-1])
    assert len(parts) > 2
    assert [row["document"] for part in parts for row in part] == list(range(10))


def test_numbers_of_documents_tell_their_shard(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / f"data/{number}.txt").write_text(prose(number))
    shards = extracted(tmp_path, shard_bytes=100)
    assert [rows(shard.texts[0])[0]["document"] >> SHARD_BITS for shard in shards] == [0, 1, 2]


def test_a_shard_that_was_finished_before_a_kill_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text(prose(1))
    chosen = config(source(tmp_path / "data"))
    (shard,) = shards_of(list_files(chosen).files, chosen, tmp_path / "scratch")
    first = extract(shard)
    (tmp_path / "data/a.txt").unlink()
    assert extract(shard) == first


def test_a_shard_that_failed_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [prose(1), None])
    chosen = config(source(tmp_path / "data"), max_bad_lines=0)
    (shard,) = shards_of(list_files(chosen).files, chosen, tmp_path / "scratch")
    with pytest.raises(SourceError):
        extract(shard)
    write_jsonl(tmp_path / "data/a.jsonl", [prose(1)])
    assert extract(shard).documents == 1
