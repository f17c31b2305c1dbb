"""After trimming, one of two gaps remains, and nothing else changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.curation.passages.trimming import MARK, trimmed_text
from components.curation.text.normalise import normalise


def cut(text: str, *passages: str, mark: str = "") -> str:
    raw = text.encode()
    spans = sorted((raw.index(passage.encode()), raw.index(passage.encode()) + len(passage.encode())) for passage in passages)
    return trimmed_text(raw, spans, mark)


@pytest.mark.parametrize(
    ("text", "passage", "expected"),
    [
        ("one\nGONE\ntwo\n", "GONE", "one\ntwo\n"),
        ("one\n\nGONE\n\ntwo\n", "GONE", "one\n\ntwo\n"),
        ("one\nGONE\n\ntwo\n", "GONE", "one\n\ntwo\n"),
        ("GONE\n\ntwo\n", "GONE", "two\n"),
        ("one\n\nGONE\n", "GONE", "one\n"),
        ("one GONE two\n", "GONE", "one two\n"),
        ("one GONE\n\ntwo\n", "GONE", "one\n\ntwo\n"),
        ("one\n  GONE two\n", "GONE", "one\n  two\n"),
        ("if x:\n    GONE\n    two\n", "GONE", "if x:\n    two\n"),
        ("one GO\nNE two\n", "GO\nNE", "one two\n"),
        ("知GONE而\n", "GONE", "知而\n"),
        ("oneGONE two\n", "GONE", "one two\n"),
    ],
)
def test_the_wider_gap_stays(text: str, passage: str, expected: str) -> None:
    assert cut(text, passage) == expected


def test_neighbours_and_overlapping_passages_go_together() -> None:
    assert cut("one\nA A\nB B\ntwo\n", "A A", "B B") == "one\ntwo\n"
    assert cut("one A B C two\n", "A B", "B C") == "one two\n"
    assert cut("one A B two\n", "A", "B") == "one two\n"


def test_a_mark_stands_for_each_masked_passage() -> None:
    assert cut("one\nA B\n\nC D two\n", "A B", "C D", mark=MARK) == f"one\n{MARK}\n\n{MARK} two\n"
    assert cut("one A B C two\n", "A B", "B C", mark=MARK) == f"one {MARK} two\n"


@given(st.text("ab \n知", max_size=60), st.data())
def test_only_passages_and_white_space_go(text: str, data: st.DataObject) -> None:
    text = normalise(text)
    raw = text.encode()
    bounds = [len(text[:index].encode()) for index in range(len(text) + 1)]
    pairs = st.tuples(st.sampled_from(bounds), st.sampled_from(bounds)).filter(lambda pair: pair[0] < pair[1])
    passages = sorted(data.draw(st.lists(pairs, min_size=1, max_size=4)))
    stay = b"".join(raw[i : i + 1] for i in range(len(raw)) if not any(a <= i < b for a, b in passages))
    trimmed = trimmed_text(raw, passages)
    assert "".join(trimmed.split()) == "".join(stay.decode().split())
    assert trimmed == normalise(trimmed)
