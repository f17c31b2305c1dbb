"""Where the corpus came from."""

import pyarrow.parquet as pq

from components.evaluation.origins import origins


def test_documents_and_bytes_of_both_splits_are_counted_by_licence(world):
    rows = origins(world.corpus)
    tables = [pq.read_table(path) for path in (world.corpus / "documents").rglob("*.parquet")]
    assert sum(row.documents for row in rows) == sum(table.num_rows for table in tables)
    assert sum(row.bytes for row in rows) == sum(sum(table["bytes"].to_pylist()) for table in tables)
    assert [(row.domain, row.licence) for row in rows] == [
        ("code", "BSD-3-Clause"),
        ("code", "MIT"),
        ("prose", "BSD-3-Clause"),
        ("prose", "MIT"),
    ]


def test_a_corpus_without_documents_has_no_origins(tmp_path):
    assert origins(tmp_path) == ()
