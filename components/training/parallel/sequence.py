"""Sequence parallelism (DeepSpeed-Ulysses, arXiv 2309.14509, section 3), applied to a decoder without changing its code.

Each worker holds consecutive tokens of every sequence. For attention, the workers exchange them for all tokens of some heads,
and afterwards exchange the outputs back. ZeRO treats these workers as replicas, because they have the same weights and
different tokens.

Shape suffixes as in `components.model.decoder`; here T is the number of tokens in the shard, S in the whole sequence.
"""

from dataclasses import dataclass, field
from typing import Any

import torch.distributed as dist
from torch import Tensor

from components.errors import TrainingError
from components.model.decoder import Attention, Decoder, attend
from components.training.deepspeed_library import deepspeed
from components.training.objective import Batch

WHOLE = frozenset({"documents"})
"""Tensors with a value per token that are not sharded, because each worker computes attention over the whole sequence."""


def apply(model: Decoder, group: dist.ProcessGroup) -> None:
    """Make a decoder process its worker's shard of each sequence; shards are in the order of the group's ranks."""
    for module in model.modules():
        if isinstance(module, Attention):
            module.attend = Ulysses(group)
    model.sequence_rank = dist.get_rank(group)


def shard(batch: Batch, rank: int, workers: int) -> Batch:
    """A worker's shard of each sequence in a batch. Tensors without a value per token are not sharded.

    Raises:
        TrainingError: the sequence length is not divisible by the number of workers.
    """
    shape = batch["tokens"].shape
    if shape[1] % workers:
        raise TrainingError(
            f"sequences of {shape[1]} tokens cannot be divided by training.layout.sequence {workers}; change one of them"
        )
    sharded = {name for name, tensor in batch.items() if tensor.shape == shape} - WHOLE
    return {name: tensor.chunk(workers, dim=1)[rank] if name in sharded else tensor for name, tensor in batch.items()}


@dataclass
class Ulysses:
    """Causal attention over whole sequences whose tokens are divided among the workers."""

    group: dist.ProcessGroup
    _attention: Any = field(init=False)

    def __post_init__(self) -> None:
        deepspeed()
        from deepspeed.sequence.layer import DistributedAttention

        self._attention = DistributedAttention(_attend_to_all, self.group, scatter_idx=2, gather_idx=1)

    def __call__(self, q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, mask_B1SS: Tensor | None) -> Tensor:
        """The attention output of the shard's tokens, BHTE. The mask covers the whole sequence."""
        q_BTHE, k_BTKE, v_BTKE = (x.transpose(1, 2).contiguous() for x in (q_BHTE, k_BKTE, v_BKTE))
        read_BTHE: Tensor = self._attention(q_BTHE, k_BTKE, v_BTKE, 0, mask_B1SS=mask_B1SS)
        return read_BTHE.transpose(1, 2)


def _attend_to_all(q_BSHE: Tensor, k_BSKE: Tensor, v_BSKE: Tensor, mask_B1SS: Tensor | None) -> Tensor:
    """Attention over whole sequences for some of the heads, as a single worker computes it."""
    return attend(q_BSHE.transpose(1, 2), k_BSKE.transpose(1, 2), v_BSKE.transpose(1, 2), mask_B1SS).transpose(1, 2)
