"""Checks, before a training run starts, that the machines have enough memory and disk space for it."""

import shutil
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
import torch.distributed as dist

from components.errors import ResourceError
from components.flops import BYTES, CHECKPOINT_BYTES
from components.training.device import training_device


@dataclass(frozen=True)
class FreeMemory:
    """The free memory of one worker's machine."""

    machine: str
    """Host name."""
    memory: int
    """Free host memory in bytes."""
    gpu_memory: int | None = None
    """Free memory of the worker's GPU in bytes; None if it trains on the CPU."""


def require_memory(needed: int, parameters: int, rank: int = 0, *, made: int | None = None) -> None:
    """Raise an error if a machine has too little memory for a training run. All workers must call this together, and raise alike.

    Args:
        needed: bytes that a worker needs on its device.
        parameters: number of weights of the model; the workers together keep a copy of the training state in host memory.
        rank: rank of this worker, from 0.
        made: number of weights that each worker initialises in host memory before moving them to its GPU; None: all.

    Raises:
        ResourceError: a GPU, or a machine with all of its workers, has less free memory than needed.
    """
    mine = _free_memory(training_device(rank))
    workers = [mine]
    if dist.is_initialized():
        workers = [mine for _ in range(dist.get_world_size())]
        dist.all_gather_object(workers, mine)
    require_memory_of(workers, needed, parameters, parameters if made is None else made)


def require_memory_of(workers: Sequence[FreeMemory], needed: int, parameters: int, made: int) -> None:
    """Raise `ResourceError` if one of these workers has too little memory; see `require_memory`."""
    free = {worker.machine: worker.memory for worker in reversed(workers)}
    for machine, count in Counter(worker.machine for worker in workers).items():
        gpus = [worker.gpu_memory for worker in workers if worker.machine == machine and worker.gpu_memory is not None]
        copy = CHECKPOINT_BYTES * parameters * count // len(workers)
        host = copy + len(gpus) * BYTES["fp32"] * made + (count - len(gpus)) * needed
        if machine == workers[0].machine:
            host += BYTES["fp32"] * (parameters - made)  # the first worker gathers a sharded model
        _refuse_beyond(free[machine], host, machine, "memory")
        if gpus:
            _refuse_beyond(min(gpus), needed, machine, "GPU memory")


def available_memory(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory that this process can still allocate: free on the machine, and within the limit of its container.

    `group` is the directory of the process's control group (version 2); if it does not exist, there is no container limit. File
    cache that the kernel can drop (inactive_file) counts as free, although the control group counts it as used.
    """
    free = psutil.virtual_memory().available
    try:
        limit, used = (group / "memory.max").read_text(), int((group / "memory.current").read_text())
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return free
    return free if limit.strip() == "max" else min(free, int(limit) - used + int(kept.get("inactive_file", 0)))


def _free_memory(device: torch.device) -> FreeMemory:
    name, memory = socket.gethostname(), available_memory()
    if device.type != "cuda":
        return FreeMemory(name, memory)
    torch.cuda.set_device(device)  # objects are sent through the current device
    return FreeMemory(name, memory, torch.cuda.mem_get_info()[0])


def _refuse_beyond(available: int, wanted: int, machine: str, kind: str) -> None:
    if wanted > available:
        raise ResourceError(
            f"{machine}: training needs about {wanted / 2**30:.1f} GiB of {kind}, but only {available / 2**30:.1f} GiB are free; "
            "free memory, or reduce the shape, micro_batch_tokens or sequence_length"
        )


def require_disk(directory: Path, parameters: int, checkpoints: int) -> None:
    """Raise an error if the checkpoints of a training run do not fit on the disk.

    Args:
        directory: directory of the checkpoints; need not exist.
        parameters: number of weights of the model.
        checkpoints: maximum number of checkpoints on disk at a time, including the one being written.

    Raises:
        ResourceError: not enough disk space is free.
    """
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    wanted, available = CHECKPOINT_BYTES * parameters * checkpoints, shutil.disk_usage(existing).free
    if wanted > available:
        raise ResourceError(
            f"{directory}: {checkpoints} training checkpoints need about {wanted / 2**30:.1f} GiB of disk space, but only "
            f"{available / 2**30:.1f} GiB are free; free disk space, or reduce checkpoints.keep or the shape"
        )
