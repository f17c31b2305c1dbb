"""The measures match their definitions, computed here by simple, slow code."""

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
    """datatrove's algorithm: a repeated n-gram counts with its characters, and the search continues after it."""
    seen, total, position = set(), 0, 0
    while position < len(units) - size + 1:
        gram = tuple(units[position : position + size])
        if gram in seen:
            total += sum(map(len, gram))
            position += size
        else:
            seen.add(gram)
            position += 1
    return total


def top(units: list[str], size: int, joint: str) -> int:
    """Characters of the most frequent repeated n-gram, or the first of several, as datatrove counts them."""
    grams = Counter(tuple(units[position : position + size]) for position in range(len(units) - size + 1))
    ((gram, count),) = grams.most_common(1) or [((), 0)]
    return count * len(joint.join(gram)) if count > 1 else 0


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(1, 10))
def test_repeated_and_commonest_word_grams_are_those_of_a_plain_count(text: str, size: int) -> None:
    measured, words = measures(text), text.split()
    assert measured.repeated_grams(size) * len(text) == pytest.approx(repeated(words, size))
    assert measured.top_gram(size) * len(text) == pytest.approx(top(words, size, " "))


@settings(max_examples=200, deadline=None)
@given(CHINESE, st.integers(1, 5))
def test_where_there_are_no_spaces_twice_as_many_characters_stand_for_words(text: str, size: int) -> None:
    units = [character for character in text if not character.isspace()]
    measured = measures(text, spaced=False)
    assert measured.repeated_grams(size) * len(text) == pytest.approx(repeated(units, 2 * size))
    assert measured.top_gram(size) * len(text) == pytest.approx(top(units, 2 * size, ""))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_words_and_lines_are_those_of_a_plain_count(text: str) -> None:
    measured, words = measures(text), text.split()
    proper = [word for word in words if re.search(r"\w", word)]
    lines = [line for line in text.split("\n") if line.strip()]
    assert measured.words() == len(proper)
    assert measured.mean_word_length() == pytest.approx(sum(map(len, proper)) / len(proper) if proper else 0)
    assert measured.alphabetic_words() == pytest.approx(
        sum(bool(re.search("[a-z]", w)) for w in words) / len(words) if words else 0
    )
    assert measured.repeated_lines() == pytest.approx(1 - len(set(lines)) / len(lines) if lines else 1)


@pytest.mark.parametrize("text", ["", "\n", " ", "。", "\n\n\n"])
def test_a_text_of_nothing_measures_without_error(text: str) -> None:
    for spaced in (True, False):
        measured = measures(text, spaced=spaced)
        values = [
            measured.words(),
            measured.mean_word_length(),
            measured.alphabetic_words(),
            measured.hashes(),
            measured.lines_per_word(),
        ]
        values += [measured.bullet_lines(), measured.repeated_lines(), measured.repeated_paragraphs(), measured.top_gram(2)]
        assert all(value >= 0 for value in [*values, measured.repeated_grams(5), measured.sentences(), measured.short_lines()])
