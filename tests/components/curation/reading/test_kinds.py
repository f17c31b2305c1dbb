"""The kind of a file follows from its suffix, with or without compression."""

from pathlib import PurePath

import pytest

from components.curation.reading.kinds import kind_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", "jsonl"),
        ("A.NDJSON.GZ", "jsonl"),
        ("c4.json.zst", "jsonl"),
        ("about.json", ""),
        ("x.parquet", "parquet"),
        ("x.parquet.gz", ""),
        ("crawl.warc.wet.gz", "warc"),
        ("README.md", "text"),
        ("LICENSE", ""),
        (".gz", ""),
    ],
)
def test_a_suffix_says_what_a_file_holds(name: str, kind: str) -> None:
    assert kind_of(PurePath(name)) == kind
