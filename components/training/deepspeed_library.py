"""DeepSpeed as this project uses it."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch


def deepspeed() -> ModuleType:
    """DeepSpeed, with errors only in its log, and not compiling operators of its own on a CPU."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    with _hidden("mlflow"):
        import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    if not torch.cuda.is_available():
        # Otherwise it compiles a shared-memory operator for two minutes, without gain; private, so its version is pinned.
        deepspeed.ops.__compatible_ops__ = {}
    return deepspeed


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Make importing the package fail, unless it is imported already.

    DeepSpeed's autotuner, which nothing here uses, imports MLflow if it can: three quarters of the time that importing DeepSpeed
    takes, in every worker.
    """
    hidden = package not in sys.modules
    if hidden:
        sys.modules[package] = None  # type: ignore[assignment]  # the import system's own way to do it
    try:
        yield
    finally:
        if hidden:
            del sys.modules[package]
