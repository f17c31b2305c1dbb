"""How the calling thread and those that compute for it work."""


def use_threads(count: int) -> None:
    """Let torch compute in this thread with `count` threads, and in all of them treat numbers below 1.2e-38 as zero.

    Before the first operation of the calling thread: those that it starts inherit it. `components.model.denormals` says what it
    is good for, and does it where no worker was prepared.
    """
    import torch

    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
