"""The measures are what their plain definitions say, computed here the slow way."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.curation.text.characters import classes_of, codes_of
from components.curation.text.measures import Measures

TEXTS = st.lists(st.sampled_from(["a", "bb", "ccc", "dd.", "-", "e5", "7", "\n", "\n\n"]), min_size=1, max_size=60).map(" ".join)
CHINESE = st.text(alphabet="天地玄黄。\n ", min_size=1, max_size=60)


def measures(text: str, *, spaced: bool = True) -> Measures:
    codes = codes_of(text)
    return Measures(text, codes, classes_of(codes), spaced=spaced)


def repeated(units: list[str], size: int) -> int:
    """datatrove's walk: an n-gram seen before counts with its characters, and the walk goes on behind it."""
    seen, total, place = set(), 0, 0
    while place < len(units) - size + 1:
        gram = tuple(units[place : place + size])
        if gram in seen:
            total += sum(map(len, gram))
            place += size
        else:
            seen.add(gram)
            place += 1
    return total


def top(units: list[str], size: int, joint: str) -> int:
    """Characters of the commonest n-gram that occurs more than once, the first where several are, as datatrove counts."""
    grams = Counter(tuple(units[place : place + size]) for place in range(len(units) - size + 1))
    ((gram, most),) = grams.most_common(1) or [((), 0)]
    return most * len(joint.join(gram)) if most > 1 else 0


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(1, 10))
def test_repeated_and_commonest_word_grams_are_those_of_a_plain_count(text: str, size: int) -> None:
    found, words = measures(text), text.split()
    assert found.repeated_grams(size) * len(text) == pytest.approx(repeated(words, size))
    assert found.top_gram(size) * len(text) == pytest.approx(top(words, size, " "))


@settings(max_examples=200, deadline=None)
@given(CHINESE, st.integers(1, 5))
def test_where_there_are_no_spaces_twice_as_many_characters_stand_for_words(text: str, size: int) -> None:
    units = [character for character in text if not character.isspace()]
    found = measures(text, spaced=False)
    assert found.repeated_grams(size) * len(text) == pytest.approx(repeated(units, 2 * size))
    assert found.top_gram(size) * len(text) == pytest.approx(top(units, 2 * size, ""))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_words_and_lines_are_those_of_a_plain_count(text: str) -> None:
    found, words = measures(text), text.split()
    proper = [word for word in words if re.search(r"\w", word)]
    lines = [line for line in text.split("\n") if line.strip()]
    assert found.words() == len(proper)
    assert found.mean_word_length() == pytest.approx(sum(map(len, proper)) / len(proper) if proper else 0)
    assert found.alphabetic_words() == pytest.approx(sum(bool(re.search("[a-z]", w)) for w in words) / len(words) if words else 0)
    assert found.repeated_lines() == pytest.approx(1 - len(set(lines)) / len(lines) if lines else 1)


@pytest.mark.parametrize("text", ["", "\n", " ", "。", "\n\n\n"])
def test_a_text_of_nothing_measures_without_error(text: str) -> None:
    for spaced in (True, False):
        found = measures(text, spaced=spaced)
        values = [found.words(), found.mean_word_length(), found.alphabetic_words(), found.hashes(), found.lines_per_word()]
        values += [found.bullet_lines(), found.repeated_lines(), found.repeated_paragraphs(), found.top_gram(2)]
        assert all(value >= 0 for value in [*values, found.repeated_grams(5), found.sentences(), found.short_lines()])
