"""Words and shingles match their definitions in all scripts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.curation.text.characters import CharacterClass, classes_of, codes_of
from components.curation.text.shingles import ALPHANUMERIC, WHITESPACE, shingles_of, words_of


def spelled(text: str) -> list[str]:
    """The words of a text by their definition, character by character."""
    words = [""]
    for character, kind in zip(text, classes_of(codes_of(text)).tolist(), strict=True):
        small = character.lower() if len(character.lower()) == 1 and ord(character) < 0x20000 else character
        if kind in (CharacterClass.HAN, CharacterClass.KANA):
            words += [small, ""]
        elif kind >= CharacterClass.LATIN:
            words[-1] += small
        else:
            words.append("")
    return [word for word in words if word]


def same_partition(hashes: list[int], names: list[str]) -> bool:
    """Whether values are equal exactly where names are equal."""
    return len(hashes) == len(names) and len(set(zip(hashes, names, strict=True))) == len(set(hashes)) == len(set(names))


def test_words_are_runs_of_letters_and_digits_in_any_case_and_single_han_characters() -> None:
    names = ["the", "cat", "the", "cat_2", "大", "学", "大", "x", "大", "y"]
    assert same_partition(words_of("The cat, the CAT_2! 大学大 x大y").tolist(), names)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_words_of_any_script_are_those_of_the_definition(text: str) -> None:
    assert same_partition(words_of(text, ALPHANUMERIC).tolist(), spelled(text))


@given(st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0x3FFFE), max_size=200))
def test_words_between_spaces_are_those_of_split(text: str) -> None:
    assert same_partition(words_of(text, WHITESPACE).tolist(), text.split())


def test_a_word_has_the_same_hash_wherever_it_stands() -> None:
    assert words_of("?? alpha beta")[1] == words_of("beta")[0] == words_of("x y z beta gamma")[3]


def test_anagrams_and_long_words_differ() -> None:
    assert words_of("listen")[0] != words_of("silent")[0]
    long = ["a" * 70, "a" * 71, "a" * 64, "a" * 128, "b" + "a" * 127, "a" * 64 + "b" + "a" * 63]
    assert len({int(words_of(word)[0]) for word in long}) == len(long)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 40])
def test_every_byte_of_a_word_counts_and_nothing_beside_it(length: int) -> None:
    word = "abcdefghijklmnopqrstuvwxyz0123456789abcd"[:length]
    changed = {int(words_of(word[:index] + "é" + word[index + 1 :])[0]) for index in range(length)}
    assert len(changed | {int(words_of(word)[0])}) == length + 1
    assert {int(key) for before in range(12) for key in words_of("." * before + f"{word} {word}-")} == {int(words_of(word)[0])}


def test_letters_that_differ_in_length_when_small_are_folded_as_they_are_written() -> None:
    kelvin, stroke = "\u212a", "\u023a"  # their small letters are k and \u2c65
    assert kelvin.lower() == "k"
    assert len(stroke.lower().encode()) > len(stroke.encode())
    text = f"{kelvin}elvin kelvin {stroke * 9} {stroke.lower() * 9} {stroke * 9}x"
    hashes = words_of(text)
    assert (hashes[0], hashes[2]) == (hashes[1], hashes[3])
    assert len(set(hashes.tolist())) == 3


@given(st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=30), st.integers(1, 6))
def test_two_texts_share_a_shingle_exactly_where_they_share_a_run_of_words(words: list[str], size: int) -> None:
    runs = {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}
    assert len(np.unique(shingles_of(" ".join(words), size))) == len(runs)


@pytest.mark.parametrize("text", ["", "...", "one", "one two"])
def test_a_text_shorter_than_a_shingle_is_one_shingle(text: str) -> None:
    assert len(shingles_of(text, 5)) == 1


def test_chinese_without_spaces_has_a_shingle_for_each_run_of_characters() -> None:
    assert len(shingles_of("人之初性本善性相近习相远", 5)) == 8
