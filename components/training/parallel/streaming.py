"""Runs a model on a device that is too small for its weights: each module's weights are on the device only while it computes."""

from typing import Any

import torch
from torch import Tensor, nn


def streamed(model: nn.Module, device: torch.device) -> nn.Module:
    """Make a model with weights in host memory compute on `device`, without gradients. Nothing changes for a CPU."""
    if device.type != "cpu":
        for module in model.modules():
            if kept := dict(module.named_parameters(recurse=False)):
                _Lending(module, kept, device)
    return model


class _Lending:
    """Hooks that copy the weights of one module to the device before it computes, and remove the copy afterwards."""

    def __init__(self, module: nn.Module, kept: dict[str, nn.Parameter], device: torch.device) -> None:
        self._kept, self._device = kept, device
        module.register_forward_pre_hook(self._lend)
        module.register_forward_hook(self._take_back)

    def _lend(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        for name, weight in self._kept.items():
            setattr(module, name, nn.Parameter(weight.detach().to(self._device), requires_grad=False))
        return tuple(x.to(self._device) if isinstance(x, Tensor) else x for x in inputs)

    def _take_back(self, module: nn.Module, inputs: Any, output: Any) -> None:
        for name, weight in self._kept.items():
            setattr(module, name, weight)
