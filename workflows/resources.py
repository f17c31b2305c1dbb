"""The disk space and memory that a recipe needs, checked before a run starts."""

import shutil
from pathlib import Path

import psutil

from components.errors import ResourceError
from components.flops import BYTES, CHECKPOINT_BYTES, parameters
from workflows.recipe import Recipe
from workflows.sweeps.sweep import Sweep

_COPIES_OF_TEXT = 4
"""Copies of the text on disk at the same time: kept documents, intermediate tables, token shards, tokenizer sample."""

_MIN_FREE = 512 * 2**20
"""Bytes of disk reserved for MLflow, logs and Ray."""


def require_disk(recipe: Recipe | Sweep, home: Path) -> None:
    """Raise `ResourceError` if the disk of the home is too small for the recipe."""
    free, wanted = shutil.disk_usage(home).free, disk_bytes(recipe)
    if free < wanted:
        raise ResourceError(
            f"recipe {recipe.name} needs {in_gib(wanted)} of disk, and {home} has {in_gib(free)} free; free some space, or "
            "choose another directory with --home"
        )


def require_memory(recipe: Recipe | Sweep) -> None:
    """Raise `ResourceError` if the memory of this machine is too small for the recipe."""
    available, needed = psutil.virtual_memory().available, memory_bytes(recipe)
    if available < needed:
        raise ResourceError(
            f"recipe {recipe.name} needs {in_gib(needed)} of memory, and {in_gib(available)} are available; free some memory, or "
            "make pretraining.shape smaller"
        )


def disk_bytes(recipe: Recipe | Sweep) -> int:
    """Maximum bytes that a run of `recipe` writes to disk. Sources without `sample_bytes` are not counted."""
    text = sum(source.sample_bytes or 0 for source in recipe.curation.sources)
    checkpoints = recipe.pretraining.training.checkpoints.on_disk * CHECKPOINT_BYTES * _parameters(recipe)
    return _MIN_FREE + _COPIES_OF_TEXT * text + checkpoints


def memory_bytes(recipe: Recipe | Sweep) -> int:
    """Minimum bytes of host memory that a run of `recipe` needs: 1 GiB, and the model if the recipe sets its shape.

    On every device, the host holds the weights in fp32, which are initialised and exported there, and a copy of a checkpoint.
    Pretraining checks the memory again when the plan and the device are known.
    """
    return 2**30 + (BYTES["fp32"] + CHECKPOINT_BYTES) * _parameters(recipe)


def _parameters(recipe: Recipe | Sweep) -> int:
    shape = recipe.pretraining.shape
    return parameters(shape) if shape is not None else 0


def in_gib(count: int) -> str:
    """A number of bytes in GiB, as text."""
    return f"{count / 2**30:.1f} GiB"
