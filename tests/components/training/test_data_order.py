"""The order of training samples as a pure function of the seed and the sample's number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import Mixture
from components.errors import ConfigError, TrainingError
from components.training.data_order import DataOrder, Portion, apportion, explain, permuted


@st.composite
def orders(draw: st.DrawFn) -> DataOrder:
    weights = draw(st.lists(st.floats(0.01, 1), min_size=1, max_size=5))
    windows = draw(st.lists(st.integers(1, 50), min_size=len(weights), max_size=len(weights)))
    shares = [weight / sum(weights) for weight in weights]
    portions = tuple(
        Portion(domain=f"domain-{index}", windows=count, target=share, share=share, epochs=0.0)
        for index, (share, count) in enumerate(zip(shares, windows, strict=True))
    )
    return DataOrder(portions, draw(st.integers(0, 2**31)))


@given(size=st.integers(1, 3000), key=st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_a_permutation_holds_every_place_once(size: int, key: bytes) -> None:
    assert sorted(permuted(np.arange(size), size, key)) == list(range(size))


def test_a_permutation_of_a_trillion_places_is_sought_without_being_held() -> None:
    places = np.arange(10**12 - 1000, 10**12)
    found = permuted(places, 10**12, bytes(range(32)))
    assert len(set(found.tolist())) == 1000
    assert np.std(found) > 0.2 * 10**12


def test_a_place_outside_of_a_permutation_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 to 4"):
        permuted(np.array([5]), 5, bytes(32))


@given(order=orders())
@settings(max_examples=50, deadline=None)
def test_an_epoch_of_a_domain_holds_each_of_its_windows_once(order: DataOrder) -> None:
    domains, windows = order.samples(0, 500)
    for index, portion in enumerate(order.portions):
        mine = windows[domains == index]
        for start in range(0, len(mine) - portion.windows + 1, portion.windows):
            assert sorted(mine[start : start + portion.windows]) == list(range(portion.windows))


def test_two_epochs_and_two_seeds_have_different_orders() -> None:
    portion = (Portion(domain="code", windows=100, target=1, share=1, epochs=2),)
    _, windows = DataOrder(portion, 0).samples(0, 200)
    _, others = DataOrder(portion, 1).samples(0, 100)
    assert windows[:100].tolist() != windows[100:].tolist()
    assert windows[:100].tolist() != others.tolist()


@given(order=orders(), first=st.integers(0, 10**9), count=st.integers(1, 300), cut=st.floats(0, 1))
@settings(deadline=None)
def test_any_stretch_can_be_sought_in_pieces(order: DataOrder, first: int, count: int, cut: float) -> None:
    middle = int(cut * count)
    pieces = [order.samples(first, middle), order.samples(first + middle, count - middle)]
    for whole, *parts in zip(order.samples(first, count), *pieces, strict=True):
        assert whole.tolist() == np.concatenate(parts).tolist()


@given(order=orders(), first=st.integers(0, 10**9), count=st.integers(1, 2000))
@settings(max_examples=50, deadline=None)
def test_any_stretch_has_the_target_shares_to_within_a_few_samples(order: DataOrder, first: int, count: int) -> None:
    domains, _ = order.samples(first, count)
    for index, portion in enumerate(order.portions):
        assert abs(int((domains == index).sum()) - portion.share * count) <= len(order.portions) + 1


@given(order=orders(), samples=st.integers(0, 2000))
@settings(max_examples=50, deadline=None)
def test_the_counts_are_those_of_the_samples(order: DataOrder, samples: int) -> None:
    domains, _ = order.samples(0, samples)
    counts = order.counts(np.array([samples]))
    assert [int(counts[p.domain][0]) for p in order.portions] == [int((domains == i).sum()) for i in range(len(order.portions))]


def test_a_domain_without_windows_gives_nothing_and_its_share_goes_to_the_others() -> None:
    mixture = Mixture(shares={"a": 0.5, "b": 0.25, "c": 0.25}, epoch_limits={"a": 4.0, "b": 4.0, "c": 4.0})
    portions = apportion(mixture, {"b": 100, "c": 100}, 100)
    assert [portion.share for portion in portions] == [0.0, 0.5, 0.5]
    domains, _ = DataOrder(portions, 0).samples(0, 100)
    assert set(domains.tolist()) == {1, 2}


def test_what_exceeds_an_epoch_limit_goes_to_the_others_in_proportion_and_is_explained() -> None:
    mixture = Mixture(shares={"a": 0.5, "b": 0.3, "c": 0.2}, epoch_limits={"a": 1.0, "b": 10.0, "c": 10.0})
    portions = apportion(mixture, {"a": 10, "b": 100, "c": 100}, 100)
    assert [portion.share for portion in portions] == pytest.approx([0.1, 0.54, 0.36])
    assert portions[0].epochs == pytest.approx(1.0)
    assert [note.split()[0] for note in explain(portions)] == ["a", "b", "c"]


def test_a_share_passed_on_may_push_another_domain_to_its_limit() -> None:
    mixture = Mixture(shares={"a": 0.5, "b": 0.3, "c": 0.2}, epoch_limits={"a": 1.0, "b": 1.0, "c": 1.0})
    portions = apportion(mixture, {"a": 10, "b": 40, "c": 100}, 100)
    assert [portion.share for portion in portions] == pytest.approx([0.1, 0.4, 0.5])


def test_a_mixture_within_its_limits_is_left_alone_and_needs_no_explanation() -> None:
    mixture = Mixture(shares={"a": 0.7, "b": 0.3}, epoch_limits={"a": 1.0, "b": 1.0})
    assert explain(apportion(mixture, {"a": 100, "b": 100}, 100)) == ()


def test_more_samples_than_the_epoch_limits_allow_are_refused() -> None:
    mixture = Mixture(shares={"a": 0.7, "b": 0.3}, epoch_limits={"a": 2.0, "b": 1.0})
    with pytest.raises(TrainingError, match="31 sequences are planned, the epoch limits allow 30"):
        apportion(mixture, {"a": 10, "b": 10}, 31)


def test_more_samples_than_can_be_numbered_are_refused() -> None:
    mixture = Mixture(shares={"a": 1.0}, epoch_limits={"a": 1.0})
    with pytest.raises(TrainingError, match="take longer ones"):
        apportion(mixture, {"a": 2**40}, 2**31 + 1)


@given(
    weights=st.lists(st.floats(0.01, 1), min_size=1, max_size=5),
    windows=st.lists(st.integers(0, 100), min_size=5, max_size=5),
    limit=st.floats(0.5, 4),
    samples=st.integers(1, 500),
)
def test_no_domain_exceeds_its_epoch_limit_and_nothing_is_lost(
    weights: list[float], windows: list[int], limit: float, samples: int
) -> None:
    names = [f"domain-{index}" for index in range(len(weights))]
    mixture = Mixture(
        shares={name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)},
        epoch_limits=dict.fromkeys(names, limit),
    )
    counts = dict(zip(names, windows, strict=False))
    if sum(counts.values()) * limit < samples * (1 + 1e-6):
        return
    portions = apportion(mixture, counts, samples)
    assert sum(portion.share for portion in portions) == pytest.approx(1)
    assert all(portion.share * samples <= limit * portion.windows * (1 + 1e-9) for portion in portions)
