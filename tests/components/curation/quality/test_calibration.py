"""Each language in each domain has its own cut, and never loses more than the allowed share."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.curation.quality.calibration import BINS, STEP, add_histograms, bin_counts, bins_of, calibrate

GROUP = ("en", "web")


def histogram(log_odds: list[float]) -> dict:
    bins = bins_of(np.array(log_odds, dtype=np.float32))
    return {GROUP: bin_counts(bins, np.full(len(bins), 100, dtype=np.int64))}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=60), st.floats(0, 0.99))
def test_a_group_loses_at_most_its_share_and_whoever_stays_scored_no_less(scores: list[float], share: float) -> None:
    counts = histogram(scores)
    cut = calibrate(counts, share)[GROUP].cut
    assert counts[GROUP][0, :cut].sum() <= share * len(scores)
    # one bin more would take more than the share
    assert cut == BINS or counts[GROUP][0, : cut + 1].sum() > share * len(scores)


def test_equal_scores_are_refused_together_or_not_at_all() -> None:
    assert calibrate(histogram([0.0] * 9 + [5.0]), 0.5)[GROUP].cut <= bins_of(np.zeros(1, dtype=np.float32))[0]


def test_quality_is_the_share_that_scored_lower() -> None:
    scores = [-3.0, -1.0, 1.0, 3.0]
    quality = calibrate(histogram(scores), 0.0)[GROUP].quality[bins_of(np.array(scores, dtype=np.float32))]
    assert quality.tolist() == [0.125, 0.375, 0.625, 0.875]


def test_languages_of_other_scores_are_cut_at_their_own_place() -> None:
    low, high = histogram([-5.0 + n / 100 for n in range(100)]), histogram([5.0 + n / 100 for n in range(100)])
    both = {("gl", "web"): low[GROUP], ("en", "web"): high[GROUP]}
    cut = calibrate(both, 0.1)
    assert {group: int(both[group][0, : calibration.cut].sum()) for group, calibration in cut.items()} == {
        ("gl", "web"): 10,
        ("en", "web"): 10,
    }
    assert abs(cut["gl", "web"].log_odds - -4.9) <= STEP
    assert abs(cut["en", "web"].log_odds - 5.1) <= STEP


def test_histograms_add_up_in_any_order() -> None:
    first, second = histogram([1.0, 2.0]), {("zh", "web"): histogram([0.5])[GROUP]}
    together, turned = add_histograms(first, second), add_histograms(second, first)
    assert together.keys() == turned.keys() == {GROUP, ("zh", "web")}
    assert all((together[group] == turned[group]).all() for group in together)
    assert add_histograms(first, first)[GROUP].sum() == 2 * first[GROUP].sum()
