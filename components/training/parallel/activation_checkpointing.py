"""Activation checkpointing (arXiv 1604.06174), applied to a decoder from outside: some of what the backward pass of a layer needs
is computed again there instead of being kept.

"selective" keeps what costs most to compute: products with weights, and the outputs of attention's kernels; norms, rotations,
SwiGLU's product and sums are computed again, in next to no time. "full" keeps the layer's input alone, at the price of another
forward pass: a third more FLOPs. By torch's non-reentrant checkpoints and not by DeepSpeed's, which cannot select.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from components.errors import ConfigError
from components.model.decoder import Decoder, call_directly

_aten = torch.ops.aten
KEPT = [
    _aten.mm.default,
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
]
"""Operations whose results selective checkpointing keeps."""


def apply(model: nn.Module, policy: str, *, compiled: bool = False) -> None:
    """Let the layers keep what a policy says, one of `components.flops.ACTIVATION_CHECKPOINTING`.

    Compiled, a layer is one graph with what it computes again, so that one compilation serves them all.

    Raises:
        ConfigError: a model other than a `Decoder` is to be compiled, or not to keep everything.
    """
    if isinstance(model, Decoder):
        model.call_layer = torch.compile(_CALLS[policy]) if compiled else _CALLS[policy]
    elif compiled or policy != "none":
        raise ConfigError(f"compile or activation_checkpointing {policy} of {type(model).__name__}; allowed: of a Decoder")


# Nothing in a layer is random, so that no generator's state has to be kept
_fully = functools.partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
_selectively = functools.partial(_fully, context_fn=functools.partial(create_selective_checkpoint_contexts, KEPT))
_CALLS: dict[str, Callable[..., Any]] = {"none": call_directly, "selective": _selectively, "full": _fully}
