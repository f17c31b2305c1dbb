"""What differs between one training and another: the data of a step, the loss, and what is measured meanwhile."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""Tensors by name, on the CPU when they leave `Batches`. "tokens" is int64 of shape [sequences, length] in every batch:
its size is what tokens/s counts."""


class Batches(Protocol):
    """The data of every step."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        """The micro-batches of `step` (from 0) for one rank, in order.

        A pure function: it neither reads nor keeps a position, so resuming is arithmetic. The union over the ranks
        is the same global batch for every `world_size`. The number of micro-batches may differ between steps and ranks,
        but each rank has at least one.
        """
        ...


@dataclass(frozen=True)
class Terms:
    """Sums over the loss terms (target tokens, pairs) of one micro-batch."""

    loss: Tensor
    """Scalar of fp32 that the gradient flows from: the sum of the loss over the terms, not their mean."""
    figures: Mapping[str, Tensor]
    """Detached scalars to report, sums over the same terms, under the same names in every micro-batch; the loop divides them like
    the loss. Not a number: not measured in this step."""


class Objective(Protocol):
    """What training minimises: the sum of `Terms.loss` over the global batch, divided by the sum of `weight`.

    Other models that it needs, such as the frozen reference of DPO, are its own fields; it moves them to the device of
    the batch and computes no gradients for them. It draws no random numbers, or resuming would not be exact.
    """

    def weight(self, batch: Batch) -> float:
        """How many loss terms the micro-batch holds: known before the forward pass, 0 allowed, positive over a global batch."""
        ...

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        """The loss of one micro-batch, which is on the model's device; `model` may be in bf16."""
        ...


def scaled(loss: Tensor, scale: float) -> Tensor:
    """`loss` times `scale`. If it is not finite, neither is its gradient, so that all workers skip the update alike."""
    return loss * loss.new_full((), scale).masked_fill(~loss.detach().isfinite(), math.nan)


class OnIncident(Protocol):
    """Receives the steps in which something went wrong."""

    def __call__(self, step: int, reason: str) -> None:
        """Note the data of `step` (from 1); called on rank 0, and again where a step is replayed."""
        ...


class Validation(Protocol):
    """Measures the model while it trains."""

    def __call__(self, model: nn.Module) -> Mapping[str, float]:
        """Figures by name, such as `validation/loss`; called on rank 0, in evaluation mode and without gradients."""
        ...
