"""What each portion of a mixture gives to a training: shares within epoch limits, and where the surplus goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import Mixture
from components.errors import TrainingError
from components.training.data_order import DataOrder
from components.training.portions import apportion, explain, windows_of
from tests.components.artifacts.samples import domain_tokens, index_of

INDEX = index_of({"code": domain_tokens(100), "web": domain_tokens(71, {"en": 50, "zh": 21})})


def test_the_index_tells_the_windows_of_domains_and_languages() -> None:
    assert windows_of(INDEX, 10) == {"code": 9, "web": 7, "web/en": 4, "web/zh": 2}


def languages(limit: float = 2.0) -> Mixture:
    return Mixture(
        shares={"code": 0.4, "web": 0.6},
        epoch_limits={"code": 2.0, "web": limit},
        language_shares={"web": {"en": 0.5, "other": 0.25, "zh": 0.25}},
    )


def test_a_language_has_its_share_of_its_domain() -> None:
    portions = apportion(languages(), {"code": 90, "web/en": 90, "web/other": 90, "web/zh": 90}, 100)
    assert [(portion.name, portion.share) for portion in portions] == [
        ("code", 0.4),
        ("web/en", pytest.approx(0.3)),
        ("web/other", pytest.approx(0.15)),
        ("web/zh", pytest.approx(0.15)),
    ]
    assert explain(portions) == ()


def test_what_a_language_may_not_repeat_goes_to_the_other_languages_of_its_domain() -> None:
    portions = apportion(languages(), {"code": 90, "web/en": 90, "web/other": 90, "web/zh": 3}, 100)
    assert [portion.share for portion in portions] == pytest.approx([0.4, 0.36, 0.18, 0.06])
    assert portions[3].epochs == pytest.approx(2.0)
    assert [note.split()[0] for note in explain(portions)] == ["web/en", "web/other", "web/zh"]


def test_what_no_language_of_a_domain_may_repeat_goes_to_the_other_domains() -> None:
    portions = apportion(languages(), {"code": 90, "web/en": 10, "web/zh": 5}, 100)
    assert [portion.share for portion in portions] == pytest.approx([0.7, 0.2, 0.0, 0.1])


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
    with pytest.raises(TrainingError, match="31 sequences are planned, but the epoch limits allow 30"):
        apportion(mixture, {"a": 10, "b": 10}, 31)


def test_more_samples_than_can_be_numbered_are_refused() -> None:
    mixture = Mixture(shares={"a": 1.0}, epoch_limits={"a": 1.0})
    with pytest.raises(TrainingError, match="increase sequence_length"):
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
