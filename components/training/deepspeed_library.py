"""DeepSpeed as this project uses it."""

import logging
import os
from types import ModuleType

import torch


def deepspeed() -> ModuleType:
    """DeepSpeed, with errors only in its log, and not compiling operators of its own on a CPU."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    if not torch.cuda.is_available():
        # Otherwise it compiles a shared-memory operator for two minutes, without gain; private, so its version is pinned.
        deepspeed.ops.__compatible_ops__ = {}
    return deepspeed
