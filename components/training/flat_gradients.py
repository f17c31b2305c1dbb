"""Gradients of a single worker, summed by the backward pass where AdamW reads them.

DeepSpeed 0.19.8 copies the gradients of fp32 weights into a bucket, to be summed over workers, out of it, and into one flat
tensor: a tenth of a step of a small model, for which a single worker has no use. For bf16 weights it has a form of its own.
"""

from typing import Any

import torch
from torch import Tensor


class _Group(list[Tensor]):
    """Gradients of a group of parameters that are views of one tensor; DeepSpeed asks for it by this name."""

    flat_partition: Tensor


class FlatGradients:
    """The gradients of the parameters of DeepSpeed's optimizer for ZeRO-1, which must have all of them and put in no hooks."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._groups = [
            _group(flat, parameters)
            for flat, parameters in zip(optimizer.single_partition_of_fp32_groups, optimizer.params_in_partition, strict=True)
        ]
        self.clear()

    def clear(self) -> None:
        """Begin to sum again."""
        for parameters, group in zip(self._optimizer.params_in_partition, self._groups, strict=True):
            group.flat_partition.zero_()
            for parameter, gradient in zip(parameters, group, strict=True):
                parameter.grad = gradient

    def hand_over(self) -> None:
        """Let the optimizer's step have them, which clips them in place and takes them off the parameters."""
        self._optimizer.averaged_gradients.update(enumerate(self._groups))


def _group(flat: Tensor, parameters: list[Tensor]) -> _Group:
    """Room for the gradients of `parameters`, in a row, in a tensor like `flat`, whose end may be padding."""
    sizes = [parameter.numel() for parameter in parameters]
    group = _Group()
    group.flat_partition = torch.zeros_like(flat)
    parts = group.flat_partition[: sum(sizes)].split(sizes)
    group.extend(part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True))
    return group
