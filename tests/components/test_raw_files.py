"""What an artifact was made of is in its content, and where that lay in its record."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.raw_files import LOCATIONS, RAW, RawRecord, read_raw, write_raw


def record(path: str, root: str) -> RawRecord:
    return RawRecord(source="web", path=path, sha256=f"digest of {path}", bytes=len(path), uri=f"{root}/{path}")


def test_the_content_is_the_same_wherever_the_files_lay_and_both_tables_tell_where(tmp_path: Path) -> None:
    tables = {}
    for root in ("/here", "s3://there"):
        records, output = [record(path, root) for path in ("a.jsonl", "deep/b.jsonl")], tmp_path / root.strip("/:s3")
        output.mkdir()
        write_raw(records, output)
        raw, locations = (output / RAW).read_bytes(), (output / LOCATIONS).read_bytes()
        assert read_raw(raw, locations) == records
        tables[root] = raw, locations
    assert tables["/here"][0] == tables["s3://there"][0]
    assert tables["/here"][1] != tables["s3://there"][1]
    assert [record.name for record in records] == ["web/a.jsonl", "web/deep/b.jsonl"]


def test_an_artifact_without_files_has_two_empty_tables(tmp_path: Path) -> None:
    write_raw([], tmp_path)
    assert read_raw((tmp_path / RAW).read_bytes(), (tmp_path / LOCATIONS).read_bytes()) == []


def test_the_table_of_format_1_names_files_by_their_uris(tmp_path: Path) -> None:
    row = {"source": "/data", "uri": "/data/a.jsonl", "sha256": "0", "bytes": 3}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / RAW)
    (read,) = read_raw((tmp_path / RAW).read_bytes(), None)
    assert (read.uri, read.name, read.source, read.bytes) == ("/data/a.jsonl", "/data/a.jsonl", "/data", 3)
