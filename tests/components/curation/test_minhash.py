"""Shingles are sets of word runs, signatures estimate their similarity, and bands find what is similar."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.curation.minhash import RECALL, band_keys, bands_and_rows, jaccard, shingles_of, signature_of, words_of


def test_words_are_runs_of_letters_and_digits_in_any_case_and_single_han_characters() -> None:
    words = words_of("The cat, the CAT_2! 大学大 x大y")
    names = ["the", "cat", "the", "cat_2", "大", "学", "大", "x", "大", "y"]
    assert len(words) == len(names)
    assert len(set(zip(words.tolist(), names, strict=True))) == len(set(words.tolist())) == len(set(names))


def test_a_word_has_the_same_hash_wherever_it_stands() -> None:
    assert words_of("?? alpha beta")[1] == words_of("beta")[0] == words_of("x y z beta gamma")[3]


def test_anagrams_and_long_words_differ() -> None:
    assert words_of("listen")[0] != words_of("silent")[0]
    assert words_of("a" * 70)[0] != words_of("a" * 71)[0]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=30), st.integers(1, 6))
def test_two_texts_share_a_shingle_exactly_where_they_share_a_run_of_words(words: list[str], size: int) -> None:
    runs = {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}
    assert len(np.unique(shingles_of(" ".join(words), size))) == len(runs)


@pytest.mark.parametrize("text", ["", "...", "one", "one two"])
def test_a_text_shorter_than_a_shingle_is_one_shingle(text: str) -> None:
    assert len(shingles_of(text, 5)) == 1


def test_jaccard_is_intersection_over_union() -> None:
    left, right = np.array([1, 2, 3, 4], dtype=np.uint64), np.array([3, 4, 5], dtype=np.uint64)
    assert jaccard(left, right) == 2 / 5


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.8, 0.95])
def test_signatures_estimate_similarity_without_bias(similarity: float) -> None:
    random = np.random.default_rng(1)
    errors = []
    for _ in range(100):
        values = random.integers(0, 2**63, 1000, dtype=np.uint64)
        shared = round(500 * 2 * similarity / (1 + similarity))
        left, right = np.unique(values[:500]), np.unique(np.append(values[:shared], values[500 : 1000 - shared]))
        errors.append((signature_of(left, 128) == signature_of(right, 128)).mean() - jaccard(left, right))
    # One estimate has a standard deviation of sqrt(s (1 - s) / 128) <= 0.044, the mean of a hundred a tenth of it.
    assert abs(np.mean(errors)) < 0.018
    assert np.std(errors) < 1.5 * np.sqrt(similarity * (1 - similarity) / 128)


def test_a_signature_does_not_depend_on_the_order_of_shingles() -> None:
    shingles = np.random.default_rng(2).integers(0, 2**63, 5000, dtype=np.uint64)
    assert np.array_equal(signature_of(shingles, 64), signature_of(shingles[::-1], 64))


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
def test_bands_find_pairs_at_the_threshold_and_one_more_row_would_not(threshold: float) -> None:
    bands, rows = bands_and_rows(threshold, 128)
    assert bands * rows <= 128
    assert 1 - (1 - threshold**rows) ** bands >= RECALL
    assert 1 - (1 - threshold ** (rows + 1)) ** (128 // (rows + 1)) < RECALL


def test_equal_bands_give_equal_keys_and_no_others() -> None:
    signature = signature_of(np.arange(100, dtype=np.uint64) << np.uint64(32), 126)
    other = signature.copy()
    other[7] += 1
    assert (band_keys(signature, 18, 7) == band_keys(other, 18, 7)).tolist() == [True, False] + [True] * 16
    assert len(set(band_keys(np.zeros(126, dtype=np.uint32), 18, 7).tolist())) == 18
