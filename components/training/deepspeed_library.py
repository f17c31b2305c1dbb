"""Imports DeepSpeed with the settings that this project needs."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch


def deepspeed() -> ModuleType:
    """Import DeepSpeed. It logs only errors, and does not compile its own operators on a CPU."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    with _hidden("mlflow"):
        import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    if not torch.cuda.is_available():
        # Otherwise it compiles a shared-memory operator for two minutes, without benefit. The name is private, so the version
        # is pinned.
        deepspeed.ops.__compatible_ops__ = {}
    return deepspeed


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Make importing the package fail inside the block, unless it is already imported.

    DeepSpeed's autotuner, which is not used here, imports MLflow if it is installed. That takes three quarters of the time to
    import DeepSpeed, in every worker.
    """
    hidden = package not in sys.modules
    if hidden:
        sys.modules[package] = None  # type: ignore[assignment]  # None makes the import system raise ModuleNotFoundError
    try:
        yield
    finally:
        if hidden:
            del sys.modules[package]
