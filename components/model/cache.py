"""The key-value cache, so that generation processes each token only once.

Shapes: B sequences, T new tokens, S slots (filled ones and those of the new tokens), K key and value heads, E width of a head.
Prompts of different lengths are padded at the start, so that all rows write to the same slot; positions count from each row's
first real token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from components.artifacts import ModelShape
from components.errors import ConfigError


@dataclass(slots=True)
class LayerCache:
    """Buffers for the keys and values of one layer, filled from slot 0."""

    keys: Tensor
    """Keys: B, K, capacity, E."""
    values: Tensor
    """Values: B, K, capacity, E."""
    length: int = 0
    """Number of filled slots."""

    def extend(self, keys_BKTE: Tensor, values_BKTE: Tensor) -> tuple[Tensor, Tensor]:
        """Append T tokens; returns the keys and values of all tokens so far."""
        start, end = self.length, self.length + keys_BKTE.shape[2]
        self.keys[:, :, start:end] = keys_BKTE
        self.values[:, :, start:end] = values_BKTE
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep(self, rows: list[int]) -> None:
        """Remove all rows except these."""
        self.keys, self.values = self.keys[rows], self.values[rows]


class KeyValueCache:
    """One `LayerCache` per layer, and the padding at the start of each row."""

    def __init__(self, shape: ModelShape, padding: Sequence[int], capacity: int, like: Tensor) -> None:
        """Allocate slots for `capacity` tokens in `len(padding)` rows, on the device and in the dtype of `like`.

        Args:
            shape: shape of the decoder.
            padding: for each row, number of padding slots at the start.
            capacity: number of slots, including padding.
            like: any weight of the decoder.
        """
        size = (len(padding), shape.n_kv_head, capacity, shape.d_head)
        self.capacity = capacity
        self.padding = tuple(padding)
        self.padding_B1 = torch.tensor(self.padding, device=like.device)[:, None]
        self.layers = [LayerCache(like.new_empty(size), like.new_empty(size)) for _ in range(shape.n_layer)]

    @property
    def length(self) -> int:
        """Number of filled slots, including padding."""
        return self.layers[0].length

    def keep(self, rows: list[int]) -> None:
        """Remove all rows except these, for example when the other answers are finished."""
        self.padding = tuple(self.padding[row] for row in rows)
        self.padding_B1 = self.padding_B1[rows]
        for layer in self.layers:
            layer.keep(rows)

    def positions(self, new_tokens: int) -> Tensor:
        """Returns [B, T]: positions of the next `new_tokens` tokens, counted from each row's first token (0 for padding)."""
        if self.length + new_tokens > self.capacity:
            raise ConfigError(f"a cache of {self.capacity} tokens cannot hold {self.length + new_tokens}; increase its capacity")
        slots_T = torch.arange(self.length, self.length + new_tokens, device=self.padding_B1.device)
        return (slots_T - self.padding_B1).clamp(min=0)

    def mask(self, new_tokens: int) -> Tensor | None:
        """Returns [B, 1, T, S]: which slots each of the next `new_tokens` tokens attends to.

        None if no row has padding, and either the cache is empty (plain causal attention) or there is one new token (which
        attends to every slot).

        A padding token attends to itself, because a softmax over no elements would be NaN.
        """
        padded = any(self.padding)
        if not padded and (self.length == 0 or new_tokens == 1):
            return None
        slots_S = torch.arange(self.length + new_tokens, device=self.padding_B1.device)
        queries_T1 = slots_S[self.length :, None]
        real_B1S = (slots_S >= self.padding_B1)[:, None]
        return ((slots_S <= queries_T1) & real_B1S | (slots_S == queries_T1))[:, None]
