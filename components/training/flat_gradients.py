"""Gradients of a single worker, summed by the backward pass where AdamW reads them.

DeepSpeed 0.19.8 copies the gradients of fp32 weights into a bucket, to be summed over workers, out of it, and into one flat
tensor: a tenth of a step of a small model, for which a single worker has no use. For bf16 weights it has a form of its own.
"""

from typing import Any

import torch
from torch import Tensor


class _Group(list[Tensor]):
    """Gradients of a group of parameters, which are views of one tensor."""

    flat_partition: Tensor
    """That tensor; DeepSpeed reads it by this name."""


class FlatGradients:
    """Gradients of DeepSpeed's optimizer for ZeRO-1, which must hold all parameters and have installed no hooks."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._groups = [
            _group(flat, parameters)
            for flat, parameters in zip(optimizer.single_partition_of_fp32_groups, optimizer.params_in_partition, strict=True)
        ]
        self.clear()

    def clear(self) -> None:
        """Reset the sums to zero."""
        for parameters, group in zip(self._optimizer.params_in_partition, self._groups, strict=True):
            group.flat_partition.zero_()
            for parameter, gradient in zip(parameters, group, strict=True):
                parameter.grad = gradient

    def hand_over(self) -> None:
        """Give them to the optimizer's step, which clips them in place and takes them off the parameters."""
        self._optimizer.averaged_gradients.update(enumerate(self._groups))


def _group(flat: Tensor, parameters: list[Tensor]) -> _Group:
    """Zeros for the gradients of `parameters`, in a row, in a tensor like `flat`, whose end may be padding."""
    sizes = [parameter.numel() for parameter in parameters]
    group = _Group()
    group.flat_partition = torch.zeros_like(flat)
    flat_gradients = group.flat_partition[: sum(sizes)].split(sizes)
    group.extend(gradient.view_as(weight) for gradient, weight in zip(flat_gradients, parameters, strict=True))
    return group
