"""Disk and memory that a recipe needs, checked before the work starts."""

import shutil
from pathlib import Path

import psutil

from components.errors import ResourceError
from components.flops import BYTES, CHECKPOINT_BYTES, parameters
from workflows.recipe import Recipe
from workflows.sweeps.sweep import Sweep

_COPIES_OF_TEXT = 4
"""Text on disk at once: kept documents, intermediate tables, token shards, and the tokenizer's sample."""

_MIN_FREE = 512 * 2**20
"""Bytes that must stay free for MLflow, logs and Ray."""


def require_resources(recipe: Recipe | Sweep, home: Path) -> None:
    """Raise `ResourceError` where the home's disk or this machine's memory cannot hold the recipe."""
    free, wanted = shutil.disk_usage(home).free, disk_bytes(recipe)
    if free < wanted:
        raise ResourceError(f"recipe {recipe.name} needs {in_gib(wanted)} of disk; {home} has {in_gib(free)} free")
    available, needed = psutil.virtual_memory().available, memory_bytes(recipe)
    if available < needed:
        raise ResourceError(f"recipe {recipe.name} needs {in_gib(needed)} of memory; {in_gib(available)} is available")


def disk_bytes(recipe: Recipe | Sweep) -> int:
    """The most bytes that a run of `recipe` puts on the disk, as far as its sources have a limit."""
    text = sum(source.sample_bytes or 0 for source in recipe.curation.sources)
    checkpoints = recipe.pretraining.training.checkpoints.on_disk * CHECKPOINT_BYTES * _parameters(recipe)
    return _MIN_FREE + _COPIES_OF_TEXT * text + checkpoints


def memory_bytes(recipe: Recipe | Sweep) -> int:
    """The fewest bytes of memory that pretraining needs where the recipe names the shape, and 1 GiB for everything else.

    Whichever device it trains on: the weights in fp32, which are made and written on the host, and the copy of a checkpoint.
    Pretraining checks again when it knows plan and device.
    """
    return 2**30 + (BYTES["fp32"] + CHECKPOINT_BYTES) * _parameters(recipe)


def _parameters(recipe: Recipe | Sweep) -> int:
    shape = recipe.pretraining.shape
    return parameters(shape) if shape is not None else 0


def in_gib(count: int) -> str:
    """A number of bytes as text."""
    return f"{count / 2**30:.1f} GiB"
