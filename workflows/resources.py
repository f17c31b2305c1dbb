"""Is there room for what a recipe will do? Asked before the work starts."""

import shutil
from pathlib import Path

import psutil

from components.errors import ResourceError
from workflows.recipe import Recipe
from workflows.sweep import Sweep

_COPIES_OF_TEXT = 4
"""Text on disk at once: kept documents, intermediate tables, token shards, and the tokenizer's sample."""

_LEAST_FREE = 512 * 2**20
"""Bytes that must stay free for MLflow, logs and Ray."""

_CHECKPOINTS = 3
"""Training checkpoints on disk at once: two whole ones and the one being written."""

_BYTES_PER_PARAMETER = 16
"""fp32 weights, master copy and the two AdamW moments."""


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
    return _LEAST_FREE + _COPIES_OF_TEXT * text + _CHECKPOINTS * _BYTES_PER_PARAMETER * _parameters(recipe)


def memory_bytes(recipe: Recipe | Sweep) -> int:
    """Bytes of memory that pretraining needs at least, where the recipe says the shape; 1 GiB for everything else."""
    return 2**30 + _BYTES_PER_PARAMETER * _parameters(recipe)


def _parameters(recipe: Recipe | Sweep) -> int:
    from components.flops import parameters

    shape = recipe.pretraining.shape
    return parameters(shape) if shape is not None else 0


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
