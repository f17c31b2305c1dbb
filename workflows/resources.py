"""Is there room for what a recipe will do? Asked before the work starts."""

import shutil
from pathlib import Path

import psutil

from components.errors import ResourceError
from components.flops import BYTES, CHECKPOINT_BYTES, parameters
from workflows.recipe import Recipe
from workflows.sweeps.sweep import Sweep

_COPIES_OF_TEXT = 4
"""Text on disk at once: kept documents, intermediate tables, token shards, and the tokenizer's sample."""

_LEAST_FREE = 512 * 2**20
"""Bytes that must stay free for MLflow, logs and Ray."""


def require_resources(recipe: Recipe | Sweep, home: Path) -> None:
    """Raise `ResourceError` where the home's disk or this machine's memory cannot hold the recipe."""
    free, wanted = shutil.disk_usage(home).free, disk_bytes(recipe)
    if free < wanted:
        raise ResourceError(f"recipe {recipe.name} needs {_gib(wanted)} of disk; {home} has {_gib(free)} free")
    available, needed = psutil.virtual_memory().available, memory_bytes(recipe)
    if available < needed:
        raise ResourceError(f"recipe {recipe.name} needs {_gib(needed)} of memory; {_gib(available)} is available")


def disk_bytes(recipe: Recipe | Sweep) -> int:
    """Bytes that a run of `recipe` puts on the disk at most, where its sources say how much they take."""
    text = sum(source.sample_bytes or 0 for source in recipe.curation.sources)
    checkpoints = recipe.pretraining.most_checkpoints * CHECKPOINT_BYTES * _parameters(recipe)
    return _LEAST_FREE + _COPIES_OF_TEXT * text + checkpoints


def memory_bytes(recipe: Recipe | Sweep) -> int:
    """Bytes of memory that pretraining needs at least, where the recipe says the shape; 1 GiB for everything else.

    On whatever device it trains: the weights in fp32, which are made and written on the host, and the copy of a checkpoint.
    Pretraining itself asks again, when it knows plan and device.
    """
    return 2**30 + (BYTES["fp32"] + CHECKPOINT_BYTES) * _parameters(recipe)


def _parameters(recipe: Recipe | Sweep) -> int:
    shape = recipe.pretraining.shape
    return parameters(shape) if shape is not None else 0


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
