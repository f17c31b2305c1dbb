"""Whether the machines have the memory and the disk that a training needs, checked before it starts."""

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
    """Bytes that are free where a worker is."""

    machine: str
    """Its host name."""
    memory: int
    gpu_memory: int | None = None
    """Of the worker's GPU; None: it trains on the CPU."""


def require_memory(needed: int, parameters: int, rank: int = 0, *, made: int | None = None) -> None:
    """Refuse a training that a worker's machine cannot hold; all workers together and alike, before they make the model.

    Args:
        needed: bytes of a worker's device.
        parameters: weights of the model; the workers together keep one copy of their state in the host's memory.
        rank: of this worker, from 0.
        made: weights that each worker makes in the host's memory before they are on its GPU; None: all.

    Raises:
        ResourceError: a GPU has less than what is needed free, or a machine less than what its workers need together.
    """
    mine = _free_memory(training_device(rank))
    workers = [mine]
    if dist.is_initialized():
        workers = [mine for _ in range(dist.get_world_size())]
        dist.all_gather_object(workers, mine)
    require_memory_of(workers, needed, parameters, parameters if made is None else made)


def require_memory_of(workers: Sequence[FreeMemory], needed: int, parameters: int, made: int) -> None:
    """Raise `ResourceError` where one of these workers has too little memory: see `require_memory`."""
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
    """Bytes that this process may still take: what its machine has free, and no more than its container may.

    `group` is the control group of the process, version 2, as a container sees it; without one the machine alone counts. Files
    that the kernel only keeps at hand count as used there, and are given up first.
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
            f"{machine}: training needs about {wanted / 2**30:.1f} GiB of {kind}, {available / 2**30:.1f} GiB are free; "
            "choose a smaller shape, micro-batch or sequence, or free memory"
        )


def require_disk(directory: Path, parameters: int, checkpoints: int) -> None:
    """Refuse a training whose checkpoints do not fit on their disk.

    Args:
        directory: of the checkpoints; need not exist.
        parameters: weights of the model.
        checkpoints: how many there are at once, the one being written included.

    Raises:
        ResourceError: less is free.
    """
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    wanted, available = CHECKPOINT_BYTES * parameters * checkpoints, shutil.disk_usage(existing).free
    if wanted > available:
        raise ResourceError(
            f"{directory}: {checkpoints} training checkpoints need about {wanted / 2**30:.1f} GiB of disk, "
            f"{available / 2**30:.1f} GiB are free; free some, keep fewer checkpoints or choose a smaller shape"
        )
