"""The vocabulary that a law prefers: by FLOPs that count the head, and larger ones at larger budgets."""

from dataclasses import replace

import pytest

from components.flops import parameters_by_component
from components.scaling.sweeps.family import Family
from components.scaling.sweeps.vocabulary import optima
from tests.components.scaling.text_truth import LAW, vocabulary

FAMILY = Family(n_layer=2, vocab_size=512, sequence_length=256, aspect=48.0)


def test_the_optimum_spends_the_budget_on_body_and_head_and_no_other_width_is_better() -> None:
    best = optima(LAW, FAMILY, 1e13)[0]
    family = replace(FAMILY, vocab_size=best.vocab_size)
    head = 6 * parameters_by_component(family.shape(best.width))["head"]
    assert (family.scale(best.width) + head) * best.tokens == pytest.approx(1e13)
    loss = LAW.vocabulary(best.vocab_size).law.loss
    assert loss is not None
    for width in (best.width - 16, best.width + 16):
        assert loss.at(family.scale(width), 1e13 / family.flops(width)) >= best.bits_per_byte


def test_the_vocabulary_with_the_fewest_bits_per_byte_comes_first() -> None:
    preferred = optima(LAW, FAMILY, 1e13)
    assert {optimum.vocab_size for optimum in preferred} == {512, 1024}
    assert preferred[0].bits_per_byte < preferred[1].bits_per_byte


def test_a_larger_vocabulary_costs_its_head_and_so_pays_only_at_larger_budgets() -> None:
    large = replace(LAW, vocabularies=(vocabulary(512, 60.0, 440.0, 2.0), vocabulary(8192, 54.0, 430.0, 3.5)))
    assert optima(large, FAMILY, 1e11)[0].vocab_size == 512
    assert optima(large, FAMILY, 1e17)[0].vocab_size == 8192
