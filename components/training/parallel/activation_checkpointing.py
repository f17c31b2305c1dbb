"""Activation checkpointing (arXiv 1604.06174): recomputes some activations in the backward pass instead of keeping them.

"selective" keeps the results that are expensive to compute: matrix products with weights, and the outputs of attention kernels.
Norms, rotary embeddings, SwiGLU's product and sums are recomputed, in almost no time. "full" keeps only the input of each
layer, at the cost of another forward pass: a third more FLOPs. Uses torch's non-reentrant checkpoints; DeepSpeed's do not
support selection.
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
"""Operations whose results "selective" keeps."""


def apply(model: nn.Module, policy: str, *, compiled: bool = False) -> None:
    """Apply a policy, one of `components.flops.ACTIVATION_CHECKPOINTING`, to all layers of a decoder, and compile them if asked.

    A compiled layer is one graph including its recomputation, so that one compilation is used for all layers.

    Raises:
        ConfigError: the model is not a `Decoder`, and is to be compiled or has a policy other than "none".
    """
    if isinstance(model, Decoder):
        model.call_layer = torch.compile(_CALLS[policy]) if compiled else _CALLS[policy]
    elif compiled or policy != "none":
        raise ConfigError(
            f"training.compile or activation_checkpointing {policy} for a {type(model).__name__}; allowed: for a Decoder"
        )


# Layers use no random numbers, so the generator state need not be preserved
_fully = functools.partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
_selectively = functools.partial(_fully, context_fn=functools.partial(create_selective_checkpoint_contexts, KEPT))
_CALLS: dict[str, Callable[..., Any]] = {"none": call_directly, "selective": _selectively, "full": _fully}
