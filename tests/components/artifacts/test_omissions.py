"""What a step left out: counted by source and reason, with the first cases, and said loudly where it is much."""

from pathlib import Path

import pytest

from components.artifacts import OVER_LIMIT, Omission, OmissionCase, Omissions, OmissionTally


def tally(count: int, total: int, reason: str = "too-long", setting: str = "sft.max_length") -> OmissionTally:
    """Conversations of a file, the first `count` of which are left out."""
    made = OmissionTally()
    made.add("chats.jsonl", "conversations", total)
    for number in range(1, count + 1):
        made.omit("chats.jsonl", "conversations", reason, OmissionCase(uri=f"chats.jsonl#{number}", detail="300 tokens"), setting)
    return made


def test_all_are_counted_and_the_first_three_are_kept() -> None:
    (row,) = tally(84, 200).omissions().rows
    assert (row.count, row.total, row.share) == (84, 200, 0.42)
    assert [case.uri for case in row.cases] == ["chats.jsonl#1", "chats.jsonl#2", "chats.jsonl#3"]


def test_a_warning_names_source_share_reason_first_case_and_the_field_to_change() -> None:
    assert tally(84, 200).omissions().figures == {
        "left_out": 84,
        "warnings": [
            "chats.jsonl: 84 of 200 conversations (42 %) left out as too-long; the first is chats.jsonl#1: 300 tokens; "
            "change sft.max_length"
        ],
    }


@pytest.mark.parametrize(("count", "warnings"), [(19, 0), (20, 1)])
def test_less_than_a_tenth_is_counted_without_a_warning(count: int, warnings: int) -> None:
    assert len(tally(count, 200).omissions().warnings) == warnings
    assert tally(count, 200).omissions().figures["left_out"] == count


def test_several_small_reasons_together_are_a_warning_and_the_largest_comes_first() -> None:
    made = tally(11, 200, setting="")
    for number in range(12):
        made.omit("chats.jsonl", "conversations", OVER_LIMIT, OmissionCase(uri=str(number)), "conversations.max_conversations")
    (warning,) = made.omissions().warnings
    assert "23 of 200 conversations (12 %) left out as 12 over-limit, 11 too-long; the first is 0;" in warning
    assert warning.endswith("change conversations.max_conversations")


def test_where_no_field_decides_the_items_are_to_be_corrected() -> None:
    assert tally(100, 100, setting="").omissions().warnings[0].endswith("; correct or remove these conversations")


def test_each_source_has_its_own_share() -> None:
    made = tally(30, 200)
    made.add("other.jsonl", "conversations", 2000)
    made.omit("other.jsonl", "conversations", "too-long", OmissionCase(uri="other.jsonl#9"), "sft.max_length")
    assert [warning.split(":")[0] for warning in made.omissions().warnings] == ["chats.jsonl"]


def test_a_record_is_read_as_it_was_written_and_the_same_items_in_another_order_give_the_same_counts(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    written = tally(5, 10).omissions()
    written.write(tmp_path)
    assert Omissions.read(tmp_path) == Omissions.read_if_any(tmp_path) == written


def test_an_artifact_without_a_record_left_out_nothing(tmp_path: Path) -> None:
    assert Omissions.read_if_any(tmp_path) == Omissions(rows=())
    assert Omissions(rows=()).figures == {"left_out": 0, "warnings": []}


def test_a_row_without_cases_and_field_has_neither_in_its_file() -> None:
    row = Omission(source="a", unit="lines", reason="x", count=1, total=2)
    assert "cases" not in Omissions(rows=(row,)).to_json()
