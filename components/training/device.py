"""The device that a worker trains on, the precision it is good at, and its peak FLOP/s."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

import torch

from components.hardware import gpu_named


def training_device(local_rank: int = 0) -> torch.device:
    """A GPU of this machine if there is one, else the CPU."""
    return torch.device("cuda", local_rank % torch.cuda.device_count()) if torch.cuda.is_available() else torch.device("cpu")


def resolved_precision(precision: str, device: torch.device) -> str:
    """ "bf16" or "fp32": "auto" is bf16 only where the device multiplies it natively; elsewhere it is emulated, and slow."""
    if precision != "auto":
        return precision
    return "bf16" if _native_bf16(device) else "fp32"


_TRIM_THRESHOLD, _MMAP_THRESHOLD, _NEVER = -1, -3, 2**31 - 1
"""Parameters of mallopt(3), and the largest value that it takes."""


def keep_freed_memory() -> None:
    """Make the C library keep memory that is freed on the CPU for the next allocation.

    Otherwise it returns large tensors at once, and each step gets their pages again, one fault and 4 kB of zeros at a time: 30 to
    70 thousand of them, and 3 to 8 % of a step of 8.5 M parameters. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_MMAP_THRESHOLD, _NEVER)


@contextlib.contextmanager
def determinism(enabled: bool) -> Iterator[None]:
    """Inside the block torch uses operations that give the same bits each time, and refuses those without such an implementation
    (https://docs.pytorch.org/docs/stable/notes/randomness.html)."""
    if not enabled:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Peak FLOP/s of the device in that precision; None where it is not known."""
    if device.type != "cuda" or precision != "bf16":
        return None
    gpu = gpu_named(torch.cuda.get_device_name(device))
    return gpu.peak_flops if gpu else None
