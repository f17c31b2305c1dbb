"""Figures of held-out items."""

from pathlib import Path

import numpy as np
import pytest

from components.alignment.batches import encode
from components.alignment.held_out import by_kind, first_of_each_kind, log_probabilities, mean_interval
from components.model.huggingface import load
from components.tokenizer.text_tokenizer import TextTokenizer


def test_scores_do_not_depend_on_how_items_are_put_into_batches(base: Path) -> None:
    tokenizer, model = TextTokenizer.load(base), load(base)
    items = [
        tuple(
            encode(tokenizer, [{"role": "user", "content": "q" * n}, {"role": "assistant", "content": answer * (n % 5 + 1)}])
            for answer in ("right", "wrong")
        )
        for n in (3, 20, 7, 1, 12)
    ]
    together, alone = log_probabilities(model, items, 10_000), log_probabilities(model, items, 1)
    assert together.shape == (5, 2)
    assert (together < 0).all()
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    np.testing.assert_allclose(together[2:3], log_probabilities(model, items[2:3], 1), rtol=1e-5)


def test_kinds_come_in_the_order_of_names_after_all_of_them() -> None:
    assert {kind: rows.tolist() for kind, rows in by_kind(["b", "a", "b"]).items()} == {
        "all": [True, True, True],
        "a": [False, True, False],
        "b": [True, False, True],
    }
    assert list(by_kind(["b", "a", "b"])) == ["all", "a", "b"]
    assert list(by_kind(["user", "user"])) == ["user"]


@pytest.mark.parametrize(("limit", "expected"), [(1, "ab"), (2, "abb"), (9, "abbb")])
def test_each_kind_keeps_its_first(limit: int, expected: str) -> None:
    assert "".join(first_of_each_kind("abbb", str, limit)) == expected


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution_where_there_are_many_examples() -> None:
    values = np.random.default_rng(1).normal(2.0, 3.0, size=1000)
    error = values.std() / np.sqrt(len(values))
    assert mean_interval(values) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.15 * error)


def test_the_interval_of_a_mean_per_token_counts_each_examples_tokens() -> None:
    tokens = np.random.default_rng(2).integers(1, 50, size=500)
    low, high = mean_interval(tokens * 3.0, tokens)
    assert (low, high) == pytest.approx((3.0, 3.0))
    low, high = mean_interval(np.where(tokens > 25, 4.0, 2.0) * tokens, tokens)
    assert low < 4.0 * tokens[tokens > 25].sum() / tokens.sum() + 2.0 * tokens[tokens <= 25].sum() / tokens.sum() < high
