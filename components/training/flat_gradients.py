"""Flat gradients for fp32 on a single worker: the backward pass writes to the tensor that AdamW reads.

DeepSpeed 0.19.8 copies the gradients of fp32 weights into a bucket for summing over workers, out of the bucket, and into one
flat tensor. A single worker does not need these copies, which take a tenth of a step of a small model. For bf16 weights
DeepSpeed has its own solution.
"""

from typing import Any

import torch
from torch import Tensor


class _Group(list[Tensor]):
    """The gradients of a group of parameters, as views of one flat tensor."""

    flat_partition: Tensor
    """The flat tensor; DeepSpeed reads it by this name."""


class FlatGradients:
    """The gradients for DeepSpeed's ZeRO-1 optimizer, which must hold all parameters and must not have installed hooks."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._groups = [
            _group(flat, parameters)
            for flat, parameters in zip(optimizer.single_partition_of_fp32_groups, optimizer.params_in_partition, strict=True)
        ]
        self.clear()

    def clear(self) -> None:
        """Set all gradients to zero."""
        for parameters, group in zip(self._optimizer.params_in_partition, self._groups, strict=True):
            group.flat_partition.zero_()
            for parameter, gradient in zip(parameters, group, strict=True):
                parameter.grad = gradient

    def hand_over(self) -> None:
        """Pass the gradients to the optimizer's step, which clips them in place and removes them from the parameters."""
        self._optimizer.averaged_gradients.update(enumerate(self._groups))


def _group(flat: Tensor, parameters: list[Tensor]) -> _Group:
    """Zero gradients for `parameters`, concatenated in a tensor like `flat`, which may be padded at the end."""
    sizes = [parameter.numel() for parameter in parameters]
    group = _Group()
    group.flat_partition = torch.zeros_like(flat)
    flat_gradients = group.flat_partition[: sum(sizes)].split(sizes)
    group.extend(gradient.view_as(weight) for gradient, weight in zip(flat_gradients, parameters, strict=True))
    return group
