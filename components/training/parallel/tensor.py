"""Tensor parallelism (Megatron-LM, arXiv 1909.08053, section 3), applied to a decoder from outside.

The projections into heads and into the FFN keep some of their rows, those out of them some of their columns, so that a part reads
what a norm gives and its outputs are summed: once in attention and once in the FFN, forward and backward. Embedding and head keep
some of the vocabulary; the logits of a part are never gathered, see `components.model.loss.Vocabulary`.

Not by DeepSpeed's AutoTP 0.19.8, which takes neither a pipeline beside it nor a loss on parted logits, and not by torch's
DTensor, which DeepSpeed's ZeRO cannot flatten.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from components.model.decoder import Decoder

ROWS = frozenset({"embedding", "query", "key", "value", "gate", "up", "head"})
"""Modules whose weights are parted by their first dimension."""

COLUMNS = frozenset({"output", "down"})
"""Modules whose weights are parted by their second dimension, and whose outputs are summed."""

NORMS = frozenset({"attention_norm", "ffn_norm", "norm"})
"""Modules whose weights every part has whole, and whose outputs the parts read."""


def parted_dimension(name: str) -> int | None:
    """The dimension by which the parameter of that name is parted; None: every part has it whole."""
    module = name.split(".")[-2]
    return 0 if module in ROWS else 1 if module in COLUMNS else None


def apply(model: Decoder, group: dist.ProcessGroup) -> None:
    """Let a decoder whose weights are parts already work as one of the group's, which are in the order of its ranks."""
    for name, module in model.named_modules():
        kind = name.split(".")[-1]
        if kind in ROWS | COLUMNS and isinstance(module, nn.Linear | nn.Embedding):
            module.weight.tensor_model_parallel = True  # type: ignore[attr-defined] # what lacks it, DeepSpeed counts once
        if kind in COLUMNS:
            module.register_forward_hook(lambda _, __, output: _summed(output, group))
        if kind in NORMS and isinstance(module, nn.RMSNorm):
            module.register_forward_hook(lambda _, __, output: _copied(output, group))
    if isinstance(model.embedding, nn.Embedding):
        model.embedding = _EmbeddingPart(model.embedding.weight, group)  # type: ignore[assignment]
    if isinstance(model.head, nn.Linear):
        model.vocabulary = VocabularyPart(first=dist.get_rank(group) * model.head.weight.shape[0], group=group)


@dataclass(frozen=True)
class VocabularyPart:
    """The ids from `first` on, as many as the head's part has rows."""

    first: int
    group: dist.ProcessGroup

    def gather(self, x: Tensor) -> Tensor:
        """What each part has, stacked: [parts, ...]."""
        found = [torch.empty_like(x) for _ in range(dist.get_world_size(self.group))]
        dist.all_gather(found, x.contiguous(), group=self.group)
        return torch.stack(found)


class _EmbeddingPart(nn.Module):
    """Vectors of some ids; zeros for the others, until the parts are summed."""

    def __init__(self, weight: Tensor, group: dist.ProcessGroup) -> None:
        super().__init__()
        self.weight = cast(nn.Parameter, weight)
        self._group = group

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """BTD, the same on every part."""
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
    """The same forward; backward the sum of the parts' gradients (Megatron-LM's f)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _sum(gradient, ctx.group), None


class _Summed(torch.autograd.Function):
    """The sum of the parts forward; backward the same gradient for each (Megatron-LM's g)."""

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
