"""Words have the right positions, and passage hashes are equal if and only if their words are."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.curation.passages.passage_hashes import Passages, chunks_of, lines_of, runs_of, words_in

TEXTS = st.lists(st.text("ab .-é知識アx\n\t\u3000\U00020000", max_size=40), min_size=1, max_size=5)
HAN_AND_KANA = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffe"
WORD = re.compile(rf"[{HAN_AND_KANA}]|[^\s{HAN_AND_KANA}]+")


def split(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded) or b"\0", dtype=np.uint8), np.cumsum([0, *map(len, encoded)])


def agree(units: Passages, passages: list[tuple[str, ...]]) -> None:
    """Equal hashes stand for equal passages."""
    pairs = set(zip(units.key.tolist(), units.check.tolist(), passages, strict=True))
    assert len(pairs) == len(set(passages)) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})


@given(TEXTS)
def test_words_have_their_places_and_their_lines(texts: list[str]) -> None:
    raw, offsets = split(texts)
    located = words_in(raw, offsets)
    words, fresh = [], []
    for text in texts:
        for line in text.split("\n"):
            words += (own := WORD.findall(line))
            fresh += [index == 0 for index in range(len(own))]
    assert [bytes(raw[a:b]).decode() for a, b in zip(located.starts, located.ends, strict=True)] == words
    assert located.opens_line.tolist() == fresh
    assert np.diff(located.first).tolist() == [len(WORD.findall(text)) for text in texts]
    assert len(set(zip(located.hashes.tolist(), words, strict=True))) == len(set(words)) == len(set(located.hashes.tolist()))


@given(TEXTS, st.integers(1, 4))
def test_lines_are_told_apart_by_their_words(texts: list[str], min_words: int) -> None:
    units = lines_of(words_in(*split(texts)), min_words)
    expected = []
    for number, text in enumerate(texts):
        position = 0
        for line in text.split("\n"):
            own = tuple(WORD.findall(line))
            expected += [(number, position, own)] if len(own) >= min_words else []
            position += len(own)
    assert list(zip(units.text.tolist(), units.word.tolist(), strict=True)) == [row[:2] for row in expected]
    assert units.words.tolist() == [len(own) for *_, own in expected]
    agree(units, [own for *_, own in expected])


@pytest.mark.long
@given(st.lists(st.lists(st.sampled_from("abc知"), max_size=30), min_size=1, max_size=4), st.integers(2, 6))
def test_every_run_is_there_and_equal_ones_have_equal_grams_at_places_of_their_own(words: list[list[str]], size: int) -> None:
    units, anchors = runs_of(words_in(*split([" ".join(own) for own in words])), size)
    runs = [(n, i, tuple(own[i : i + size])) for n, own in enumerate(words) for i in range(len(own) - size + 1)]
    assert list(zip(units.text.tolist(), units.word.tolist(), strict=True)) == [run[:2] for run in runs]
    agree(units, [own for *_, own in runs])
    grams: dict[tuple[str, ...], int] = {}
    for (*_, own), gram in zip(runs, anchors.gram.tolist(), strict=True):
        assert grams.setdefault(own, gram) == gram
    # A passage's gram is counted at least as often as the passage occurs.
    counted = dict(zip(*np.unique(anchors.gram[anchors.moved], return_counts=True), strict=True))
    for own, gram in grams.items():
        assert counted[gram] >= sum(other == own for *_, other in runs)


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(1, 20))
def test_chunks_cover_all_texts_and_hold_no_more_than_they_must(sizes: list[int], max_bytes: int) -> None:
    offsets = np.cumsum([0, *sizes])
    chunks = list(chunks_of(offsets, max_bytes))
    assert (chunks[0][0], chunks[-1][1]) == (0, len(sizes))
    assert all(end == first for (_, end), (first, _) in pairwise(chunks))
    assert all(offsets[end] - offsets[first] <= max_bytes or end == first + 1 for first, end in chunks)
