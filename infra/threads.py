"""Sets how torch computes in the calling thread and the threads that it starts."""


def use_threads(count: int) -> None:
    """Make torch use `count` threads, and treat numbers below 1.2e-38 (denormals) as zero in all of them.

    Call it before the first torch operation of the calling thread: threads inherit the setting when they start. See
    `components.model.denormals` for the reason.
    """
    import torch

    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
