"""The deduplication curve as text; tests/end_to_end/test_dedup_curve.py measures one."""

from workflows.commands.dedup_curve import curve_lines


def test_each_number_of_sources_is_a_line_with_its_shares() -> None:
    point = {"sources": 2, "documents": 40, "removed_documents": 10, "last": "dump-1.jsonl"}
    rates = {"removal_rate": 0.25, "removal_rate_of_bytes": 0.2, "removal_rate_apart": 0.05}
    _, line = curve_lines({"points": [point | rates]})
    assert line.split() == ["2", "40", "10", "25.0%", "20.0%", "5.0%", "dump-1.jsonl"]
