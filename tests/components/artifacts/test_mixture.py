"""Mixtures: shares that sum to one, of domains and of their languages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import Mixture, decoded
from components.errors import ConfigError


@pytest.mark.parametrize(
    ("shares", "limits", "field"),
    [
        ({}, {}, "shares"),
        ({"code": 0.5}, {"code": 1.0}, "shares"),
        ({"code": 1.5, "web": -0.5}, {"code": 1.0, "web": 1.0}, "shares"),
        ({"code": float("nan")}, {"code": 1.0}, "shares"),
        ({"code": 1.0}, {}, "epoch_limits"),
        ({"code": 1.0}, {"code": 0.0}, "epoch_limits"),
        ({"code": 1.0}, {"code": 1.0, "web": 1.0}, "epoch_limits"),
    ],
)
def test_a_senseless_mixture_is_refused_by_field(shares: dict[str, float], limits: dict[str, float], field: str) -> None:
    with pytest.raises(ConfigError, match=rf"Mixture\.{field} is "):
        Mixture(shares=shares, epoch_limits=limits)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6))
def test_shares_of_any_counts_make_a_mixture(counts: list[int]) -> None:
    shares = {str(number): count / sum(counts) for number, count in enumerate(counts)}
    assert Mixture(shares=shares, epoch_limits=dict.fromkeys(shares, 4.0)).shares == shares


@pytest.mark.parametrize(
    ("language_shares", "words"),
    [
        ({"maths": {"en": 1.0}}, "domains of the mixture: web, code"),
        ({"web": {"en": 1.5, "zh": -0.5}}, "positive shares"),
        ({"web": {"en": 0.5, "zh": 0.4}}, "shares that sum to 1"),
        ({"web": {}}, "shares that sum to 1"),
    ],
)
def test_a_mixture_of_languages_that_makes_no_sense_is_refused(language_shares: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"Mixture\.language_shares is .*; allowed: {words}"):
        Mixture(shares={"web": 0.8, "code": 0.2}, epoch_limits={"web": 4.0, "code": 4.0}, language_shares=language_shares)


def test_the_portions_of_a_mixture_are_its_domains_or_their_languages() -> None:
    shares = {"code": 0.2, "web": 0.8}
    mixture = Mixture(shares=shares, epoch_limits={"code": 4.0, "web": 4.0}, language_shares={"web": {"zh": 0.25, "other": 0.75}})
    assert mixture.portions == pytest.approx({"code": 0.2, "web/other": 0.6, "web/zh": 0.2})
    assert decoded(Mixture, json.loads(mixture.to_json())) == mixture


def test_a_mixture_without_languages_is_written_as_before_there_were_any() -> None:
    mixture = Mixture(shares={"web": 1.0}, epoch_limits={"web": 4.0})
    assert mixture.to_json() == '{\n "epoch_limits": {\n  "web": 4.0\n },\n "shares": {\n  "web": 1.0\n }\n}\n'
