"""Replacements are counted by source, domain and kind."""

from components.curation.filtering.replacement_counts import ReplacementCounts
from tests.components.curation.conftest import source

WEB, CODE = source("web"), source("web", "code")


def test_documents_and_replacements_are_counted_by_source_and_kind() -> None:
    counts = ReplacementCounts()
    counts.add(WEB, {"phone": 1, "email": 3})
    counts.add(WEB, {"email": 1})
    counts.add(CODE, {"email": 5})
    counts.add(WEB, {})
    assert counts.table().to_pylist() == [
        {"source": "web", "domain": "code", "kind": "email", "documents": 1, "found": 5},
        {"source": "web", "domain": "prose", "kind": "email", "documents": 2, "found": 4},
        {"source": "web", "domain": "prose", "kind": "phone", "documents": 1, "found": 1},
    ]


def test_a_copy_stays_as_it_is_when_more_is_added() -> None:
    counts = ReplacementCounts()
    counts.add(WEB, {"email": 1})
    before = counts.copy()
    counts.add(WEB, {"email": 2})
    assert [row["found"] for table in (before.table(), counts.table()) for row in table.to_pylist()] == [1, 3]


def test_nothing_replaced_is_an_empty_table() -> None:
    assert ReplacementCounts().table().num_rows == 0
