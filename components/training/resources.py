"""Whether the machine has the memory that a training needs, asked before it starts."""

import psutil
import torch

from components.errors import ResourceError


def require_memory(needed: int, workers: int) -> None:
    """Refuse a training of `workers` workers on this machine that need `needed` bytes each.

    Raises:
        ResourceError: the CPU's free memory holds less than all of them, or a GPU's less than one.
    """
    gpu = torch.cuda.is_available()
    available = torch.cuda.mem_get_info()[0] if gpu else psutil.virtual_memory().available
    wanted = needed if gpu else needed * workers
    if wanted > available:
        kind = "GPU memory" if gpu else "memory"
        raise ResourceError(
            f"training needs about {wanted / 2**30:.1f} GiB of {kind}, {available / 2**30:.1f} GiB are free; "
            "choose a smaller shape, micro-batch or sequence, or free memory"
        )
