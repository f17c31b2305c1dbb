"""The cache of keys and values: what it returns, where padding is, and what each new token sees."""

import pytest
import torch
from torch import Tensor

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.model.cache import KeyValueCache, LayerCache

SHAPE = ModelShape(n_layer=2, d_model=16, n_head=4, n_kv_head=2, d_ffn=32, vocab_size=32, context=16)


def cache(*padding: int, capacity: int = 8) -> KeyValueCache:
    return KeyValueCache(SHAPE, padding, capacity, like=torch.zeros(1, dtype=torch.float64))


def fill(filled: KeyValueCache, tokens: int) -> None:
    for layer in filled.layers:
        layer.extend(some(len(filled.padding), tokens), some(len(filled.padding), tokens))


def some(rows: int, tokens: int, value: float = 0.0) -> Tensor:
    return torch.full((rows, SHAPE.n_kv_head, tokens, SHAPE.d_head), value, dtype=torch.float64)


def test_a_layer_returns_the_keys_and_values_of_all_tokens_so_far_in_their_order() -> None:
    layer = LayerCache(some(1, 4), some(1, 4))
    layer.extend(some(1, 2, 1.0), some(1, 2, -1.0))
    keys, values = layer.extend(some(1, 1, 2.0), some(1, 1, -2.0))
    assert keys[0, 0, :, 0].tolist() == [1.0, 1.0, 2.0]
    assert values[0, 0, :, 0].tolist() == [-1.0, -1.0, -2.0]


def test_every_layer_has_buffers_in_the_dtype_of_the_weights() -> None:
    layers = cache(0, 0).layers
    assert len(layers) == SHAPE.n_layer
    assert {(layer.keys.shape, layer.keys.dtype) for layer in layers} == {((2, 2, 8, 4), torch.float64)}


def test_positions_count_from_the_first_token_of_each_row() -> None:
    padded = cache(0, 2)
    assert padded.positions(4).tolist() == [[0, 1, 2, 3], [0, 0, 0, 1]]
    fill(padded, 4)
    assert padded.positions(1).tolist() == [[4], [2]]


def test_more_tokens_than_slots_are_refused() -> None:
    full = cache(0)
    fill(full, 7)
    with pytest.raises(ConfigError, match="a cache of 8 tokens cannot hold 9"):
        full.positions(2)


def test_a_mask_shows_each_token_those_before_it_and_no_padding_but_itself() -> None:
    mask_B1TS = cache(0, 1).mask(3)
    assert mask_B1TS is not None
    assert mask_B1TS[:, 0].int().tolist() == [
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]],
        [[1, 0, 0], [0, 1, 0], [0, 1, 1]],
    ]


def test_there_is_no_mask_where_the_causal_rule_says_the_same() -> None:
    plain, padded = cache(0, 0), cache(0, 1)
    assert plain.mask(3) is None
    fill(plain, 3)
    fill(padded, 3)
    assert plain.mask(1) is None
    assert plain.mask(2) is not None
    assert padded.mask(1) is not None


def test_rows_that_have_ended_are_dropped_with_their_padding() -> None:
    ended = cache(0, 1, 2)
    fill(ended, 3)
    ended.keep([2])
    assert (ended.padding, ended.length) == ((2,), 3)
    assert ended.positions(1).tolist() == [[1]]
    assert {layer.values.shape[0] for layer in ended.layers} == {1}
