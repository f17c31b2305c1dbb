"""Protocols for what differs between training runs: the data of a step, the loss, validation and incidents."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""Tensors by name; on the CPU when `Batches` returns them. Every batch has "tokens", int64 of shape [sequences, length], whose
number of elements is used for tokens/s."""


class Batches(Protocol):
    """Provides the data of every step."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        """The micro-batches of `step` (from 0) for one rank, in order.

        Must be a pure function without state, so that training can resume at any step. The union over all ranks must be the
        same global batch for every `world_size`. The number of micro-batches may differ between steps and ranks, but each rank
        must have at least one.
        """
        ...


@dataclass(frozen=True)
class Terms:
    """Sums over the loss terms of one micro-batch; a term is a target token in pretraining and SFT, and a pair in DPO."""

    loss: Tensor
    """The sum (not the mean) of the loss over the terms; fp32 scalar, with gradient."""
    figures: Mapping[str, Tensor]
    """Further values to report, as detached scalars summed over the same terms. Every micro-batch must have the same names. The
    loop divides them by the total weight, like the loss. NaN: not measured in this step."""


class Objective(Protocol):
    """The loss that training minimises: the sum of `Terms.loss` over the global batch, divided by the sum of `weight`.

    An objective keeps other models that it needs, such as the frozen reference model of DPO, in its own fields, moves them to the
    device of the batch and computes no gradients for them. It must not use random numbers, or resuming would not be exact.
    """

    def weight(self, batch: Batch) -> float:
        """Number of loss terms in the micro-batch. May be 0 for a micro-batch, but not for the global batch."""
        ...

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        """Compute the loss of one micro-batch, which is on the model's device; `model` may be in bf16."""
        ...


def scaled(loss: Tensor, scale: float) -> Tensor:
    """`loss` times `scale`. If the loss is not finite, the gradient becomes NaN, so that all workers skip the update."""
    return loss * loss.new_full((), scale).masked_fill(~loss.detach().isfinite(), math.nan)


class OnIncident(Protocol):
    """Called for steps with a non-finite loss or gradient, or a loss spike."""

    def __call__(self, step: int, reason: str) -> None:
        """Handle an incident in `step` (from 1). Called on rank 0; called again if the step is repeated after a resume."""
        ...


class Validation(Protocol):
    """Measures the model during training."""

    def __call__(self, model: nn.Module) -> Mapping[str, float]:
        """Figures by name, such as `validation/loss`. Called on rank 0, in evaluation mode and without gradients."""
        ...
