"""Whether the machine has the memory and the disk that a training needs, asked before it starts."""

import shutil
from pathlib import Path

import psutil
import torch

from components.errors import ResourceError
from components.flops import CHECKPOINT_BYTES


def require_memory(needed: int, workers: int, *, parameters: int = 0) -> None:
    """Refuse a training of `workers` workers on this machine that need `needed` bytes each.

    Args:
        needed: bytes of the device's memory.
        workers: on this machine.
        parameters: weights of the model, of whose state the workers together hold one copy in the host's memory.

    Raises:
        ResourceError: the CPU's free memory holds less than all of them and the copy, or a GPU's less than one.
    """
    gpu = torch.cuda.is_available()
    host = CHECKPOINT_BYTES * parameters + (0 if gpu else needed * workers)
    _refuse_beyond(psutil.virtual_memory().available, host, "memory")
    if gpu:
        _refuse_beyond(torch.cuda.mem_get_info()[0], needed, "GPU memory")


def _refuse_beyond(available: int, wanted: int, kind: str) -> None:
    if wanted > available:
        raise ResourceError(
            f"training needs about {wanted / 2**30:.1f} GiB of {kind}, {available / 2**30:.1f} GiB are free; "
            "choose a smaller shape, micro-batch or sequence, or free memory"
        )


def require_disk(directory: Path, parameters: int, checkpoints: int) -> None:
    """Refuse a training whose checkpoints would not fit where they go.

    Args:
        directory: of the checkpoints; need not exist.
        parameters: weights of the model.
        checkpoints: how many there are at once, the one being written included.

    Raises:
        ResourceError: less is free.
    """
    existing = next(place for place in (directory, *directory.parents) if place.exists())
    wanted, available = CHECKPOINT_BYTES * parameters * checkpoints, shutil.disk_usage(existing).free
    if wanted > available:
        raise ResourceError(
            f"{directory}: {checkpoints} training checkpoints need about {wanted / 2**30:.1f} GiB of disk, "
            f"{available / 2**30:.1f} GiB are free; free some, keep fewer checkpoints or choose a smaller shape"
        )
