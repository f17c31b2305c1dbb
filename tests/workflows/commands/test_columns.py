"""Columns of lines stay apart, however long a name is."""

from workflows.commands.columns import in_columns


def test_a_long_name_moves_the_next_column_of_all_rows() -> None:
    assert in_columns([("a", "b", "c"), ("a" * 9, "", "c")], (4, 3)) == ["a          b  c", "aaaaaaaaa     c"]


def test_columns_are_at_least_as_wide_as_asked_and_lines_end_without_blanks() -> None:
    assert in_columns([("a", "b", "")], (4,)) == ["a   b"]


def test_no_rows_are_no_lines() -> None:
    assert in_columns([], (4, 3)) == []
