"""The order of training samples as a pure function of the seed and the sample's number."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import Mixture
from components.errors import ConfigError
from components.training.data_order import DataOrder, permutation_at
from components.training.portions import Portion, apportion


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
    assert sorted(permutation_at(np.arange(size), size, key)) == list(range(size))


def test_a_permutation_of_a_trillion_places_is_sought_without_being_held() -> None:
    positions = np.arange(10**12 - 1000, 10**12)
    permutation = permutation_at(positions, 10**12, bytes(range(32)))
    assert len(set(permutation.tolist())) == 1000
    assert np.std(permutation) > 0.2 * 10**12


def test_a_place_outside_of_a_permutation_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 to 4"):
        permutation_at(np.array([5]), 5, bytes(32))


@pytest.mark.long
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
    for whole, *segments in zip(order.samples(first, count), *pieces, strict=True):
        assert whole.tolist() == np.concatenate(segments).tolist()


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


MIXTURE = Mixture(
    shares={"code": 0.4, "web": 0.6},
    epoch_limits={"code": 4.0, "web": 2.0},
    language_shares={"web": {"en": 0.5, "zh": 0.5}},
)


def test_languages_come_in_their_shares_of_their_domain_within_their_epoch_limits() -> None:
    order = DataOrder(apportion(MIXTURE, {"code": 900, "web/en": 900, "web/zh": 100}, 1000), 3)
    indices, windows = order.samples(0, 1000)
    seen = {portion.name: windows[indices == index] for index, portion in enumerate(order.portions)}
    assert {name: len(mine) for name, mine in seen.items()} == pytest.approx({"code": 400, "web/en": 400, "web/zh": 200}, abs=2)
    assert max(np.bincount(seen["web/zh"])) <= 3
    assert [int(count[0]) for count in order.counts(np.array([1000])).values()] == [
        len(seen["code"]),
        len(seen["web/en"]) + len(seen["web/zh"]),
        len(seen["web/en"]),
        len(seen["web/zh"]),
    ]
    assert order.domains == ("code", "web")


def test_a_mixture_without_languages_has_the_order_that_it_always_had() -> None:
    mixture = Mixture(shares={"a": 0.5, "b": 0.3, "c": 0.2}, epoch_limits={"a": 1.0, "b": 1.0, "c": 4.0})
    indices, windows = DataOrder(apportion(mixture, {"a": 10, "b": 40, "c": 100}, 100), 7).samples(0, 100)
    digest = hashlib.sha256(indices.tobytes() + windows.tobytes()).hexdigest()
    assert digest == "c64b7cf13bd6afae810eb2a1422588d1560795f4268e945d20f53b2d3b0a1b8b"
