"""A model that computes on a device which could not hold it: a module's weights are there only while it computes."""

from typing import Any

import torch
from torch import Tensor, nn


def streamed(model: nn.Module, device: torch.device) -> nn.Module:
    """Let a model whose weights are in the host's memory compute on `device`, without gradients. On the CPU nothing changes."""
    if device.type != "cpu":
        for module in model.modules():
            if kept := dict(module.named_parameters(recurse=False)):
                _Lending(module, kept, device)
    return model


class _Lending:
    """The weights of one module, lent to the device while it computes."""

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
