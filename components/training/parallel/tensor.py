"""Tensor parallelism (Megatron-LM, arXiv 1909.08053, section 3), applied to a decoder without changing its code.

The input projections of attention and FFN are sharded by rows, the output projections by columns. Each shard reads the whole
output of a norm, and the outputs of the shards are summed: once in attention and once in the FFN, in the forward and in the
backward pass. Embedding and head are sharded by vocabulary; the logits of the shards are never gathered, see
`components.model.loss.Vocabulary`.

DeepSpeed's AutoTP 0.19.8 is not used because it supports neither pipelines nor a loss on sharded logits, and torch's DTensor is
not used because DeepSpeed's ZeRO cannot flatten it.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from components.model.decoder import Decoder

ROWS = frozenset({"embedding", "query", "key", "value", "gate", "up", "head"})
"""Modules whose weights are sharded along their first dimension."""

COLUMNS = frozenset({"output", "down"})
"""Modules whose weights are sharded along their second dimension, and whose outputs are summed over the shards."""

NORMS = frozenset({"attention_norm", "ffn_norm", "norm"})
"""Modules that are not sharded, and whose outputs are the input of the sharded modules."""


def sharded_dimension(name: str) -> int | None:
    """The dimension along which the parameter with that name is sharded; None: it is not sharded."""
    module = name.split(".")[-2]
    return 0 if module in ROWS else 1 if module in COLUMNS else None


def apply(model: Decoder, group: dist.ProcessGroup) -> None:
    """Make a decoder that holds a shard of the weights work together with the other shards; shards are in the order of ranks."""
    for name, module in model.named_modules():
        kind = name.split(".")[-1]
        if kind in ROWS | COLUMNS and isinstance(module, nn.Linear | nn.Embedding):
            module.weight.tensor_model_parallel = True  # type: ignore[attr-defined] # tells DeepSpeed that the weight is a shard
        if kind in COLUMNS:
            module.register_forward_hook(lambda _, __, output: _summed(output, group))
        if kind in NORMS and isinstance(module, nn.RMSNorm):
            module.register_forward_hook(lambda _, __, output: _copied(output, group))
    if isinstance(model.embedding, nn.Embedding):
        model.embedding = _EmbeddingShard(model.embedding.weight, group)  # type: ignore[assignment]
    if isinstance(model.head, nn.Linear):
        model.vocabulary = VocabularyShard(first=dist.get_rank(group) * model.head.weight.shape[0], group=group)


@dataclass(frozen=True)
class VocabularyShard:
    """The range of token ids that a shard's logits cover: from `first` on, one id per row of the head's shard."""

    first: int
    """First token id."""
    group: dist.ProcessGroup
    """The tensor shards."""

    def gather(self, x: Tensor) -> Tensor:
        """The tensors `x` of all shards, stacked: [shards, ...]."""
        gathered = [torch.empty_like(x) for _ in range(dist.get_world_size(self.group))]
        dist.all_gather(gathered, x.contiguous(), group=self.group)
        return torch.stack(gathered)


class _EmbeddingShard(nn.Module):
    """An embedding that holds the vectors of some ids; other ids give zeros, and the outputs of all shards are summed."""

    def __init__(self, weight: Tensor, group: dist.ProcessGroup) -> None:
        super().__init__()
        self.weight = cast(nn.Parameter, weight)
        self._group = group

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """The embeddings of the tokens, BTD, the same on every shard."""
        rows = self.weight.shape[0]
        ids_BT = tokens_BT - dist.get_rank(self._group) * rows
        elsewhere_BT = (ids_BT < 0) | (ids_BT >= rows)
        x_BTD = nn.functional.embedding(ids_BT.masked_fill(elsewhere_BT, 0), self.weight)
        return _summed(x_BTD.masked_fill(elsewhere_BT[..., None], 0.0), self._group)


def _copied(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    return _Copied.apply(x, group)  # type: ignore[no-untyped-call]


def _summed(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    return _Summed.apply(x, group)  # type: ignore[no-untyped-call]


class _Copied(torch.autograd.Function):
    """Forward: the identity. Backward: sums the gradients of the shards (Megatron-LM's f)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _sum(gradient, ctx.group), None


class _Summed(torch.autograd.Function):
    """Forward: sums over the shards. Backward: passes the gradient to each shard unchanged (Megatron-LM's g)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        return _sum(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _sum(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group)
    return total
