"""Bands find similar pairs with the probability that their curve states."""

import numpy as np
import pytest

from components.curation.duplicates.bands import RECALL, Bands


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
def test_bands_find_pairs_at_the_threshold_and_one_more_row_would_not(threshold: float) -> None:
    chosen = Bands.of(threshold, 128)
    assert chosen.bands * chosen.rows <= 128
    assert chosen.recall(threshold) >= RECALL
    assert Bands(bands=128 // (chosen.rows + 1), rows=chosen.rows + 1).recall(threshold) < RECALL


def test_the_curve_rises_from_the_dissimilar_to_the_equal() -> None:
    curve = Bands.of(0.8, 128).curve()
    assert next(iter(curve)) == "0.40"
    assert list(curve.values()) == sorted(curve.values())
    assert curve["1.00"] == 1
    assert curve["0.80"] >= RECALL > 0.2 > curve["0.50"]


def test_the_middle_of_the_curve_is_found_as_often_as_not() -> None:
    chosen = Bands.of(0.8, 128)
    assert chosen.recall(chosen.midpoint()) == pytest.approx(0.5)
    assert chosen.midpoint() < 0.8


def test_random_signatures_share_bands_as_often_as_the_curve_says() -> None:
    chosen, similarity = Bands.of(0.8, 128), 0.65
    agree = np.random.default_rng(3).random((20_000, chosen.bands, chosen.rows)) < similarity
    shared = agree.all(axis=2).any(axis=1).mean()
    assert shared == pytest.approx(chosen.recall(similarity), abs=4 * np.sqrt(0.25 / 20_000))
