"""Figures derived from what was measured."""

import pytest

from tests.components.evaluation.conftest import findings


def test_models_and_domains_keep_the_order_in_which_they_were_measured():
    assert findings().models == ["base", "sft", "dpo", "byte-unigram", "zlib-9"]
    assert findings().domains == ["code", "prose"]


def test_the_aggregate_weighs_domains_by_their_fixed_shares():
    assert findings().aggregate["base"] == pytest.approx(0.75 * 1.9 + 0.25 * 2.4)


def test_headlines_are_few_and_flat():
    headlines = findings().headlines()
    assert headlines["bits_per_byte/dpo"] == pytest.approx(2.1875)
    assert headlines["answer-choice/dpo"] == 0.4
    assert headlines["repetition_ratio/sft"] == 0.125
