"""Signatures estimate similarity, and equal texts have equal keys."""

import numpy as np
import pyarrow as pa
import pytest

from components.curation.duplicates.bands import Bands
from components.curation.duplicates.minhash import Permutations, Sketching, sign
from components.curation.duplicates.sketches import bytes_of
from components.curation.text.shingles import fold_of, random


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    shared = len(set(first.tolist()) & set(second.tolist()))
    return shared / (len(first) + len(second) - shared)


def signature_of(shingles: np.ndarray, permutations: int) -> np.ndarray:
    signature = np.empty(permutations, dtype=np.uint32)
    sign(shingles, len(shingles), Permutations.of(permutations), signature)
    return signature


def keys(*texts: str, threshold: float = 0.8) -> np.ndarray:
    sketching = Sketching(
        fold=fold_of("alphanumeric"),
        factors=random(5, 2),
        permutations=128,
        shape=Bands.of(threshold, 128),
    )
    return sketching.keys(*bytes_of(pa.array(texts)))


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.8, 0.95])
def test_signatures_estimate_similarity_without_bias(similarity: float) -> None:
    generator = np.random.default_rng(1)
    errors = []
    for _ in range(100):
        values = generator.integers(0, 2**63, 1000, dtype=np.uint64)
        shared = round(500 * 2 * similarity / (1 + similarity))
        first, second = np.unique(values[:500]), np.unique(np.append(values[:shared], values[500 : 1000 - shared]))
        errors.append((signature_of(first, 128) == signature_of(second, 128)).mean() - jaccard(first, second))
    # One estimate has a standard deviation of sqrt(s (1 - s) / 128) <= 0.044, the mean of a hundred a tenth of it.
    assert abs(np.mean(errors)) < 0.018
    assert np.std(errors) < 1.5 * np.sqrt(similarity * (1 - similarity) / 128)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 5000])
def test_a_signature_does_not_depend_on_the_order_or_the_number_of_shingles_taken_at_a_time(count: int) -> None:
    shingles = np.random.default_rng(2).integers(0, 2**63, count, dtype=np.uint64)
    whole = signature_of(shingles, 64)
    assert np.array_equal(whole, signature_of(shingles[::-1], 64))
    assert np.array_equal(whole, np.min([signature_of(shingles[i : i + 1], 64) for i in range(count)], axis=0))


def test_equal_texts_share_every_key_and_others_none() -> None:
    same, copy, other = keys("one two three four five six", "One, two, three: four five six", "six five four three two one")
    assert (same == copy).all()
    assert not set(same.tolist()) & set(other.tolist())
    assert len(set(same.tolist())) == len(same)


def test_the_keys_of_a_text_do_not_depend_on_its_neighbours() -> None:
    texts = ["a b c d e f g", "", "大学之道在明明德", "x " * 3000]
    together = keys(*texts)
    assert all(np.array_equal(together[index], keys(text)[0]) for index, text in enumerate(texts))
