"""The device that a worker trains on: its precision, peak FLOP/s, memory allocation and determinism."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

import torch

from components.hardware import gpu_named


def training_device(local_rank: int = 0) -> torch.device:
    """The GPU of a worker if the machine has GPUs, otherwise the CPU."""
    return torch.device("cuda", local_rank % torch.cuda.device_count()) if torch.cuda.is_available() else torch.device("cpu")


def resolved_precision(precision: str, device: torch.device) -> str:
    """ "bf16" or "fp32". "auto" is bf16 if the device supports it natively; otherwise fp32, since emulated bf16 is slow."""
    if precision != "auto":
        return precision
    return "bf16" if _native_bf16(device) else "fp32"


_TRIM_THRESHOLD, _MMAP_THRESHOLD, _NEVER = -1, -3, 2**31 - 1
"""Parameters of mallopt(3), and the largest value it accepts."""


def keep_freed_memory() -> None:
    """Make the C library keep freed CPU memory for the next allocation instead of returning it to the system.

    Otherwise each step gets the pages of its large tensors again, with one page fault and 4 kB of zeros per page: 30 to 70
    thousand faults, or 3 to 8 % of a step of 8.5 M parameters. Does nothing if the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_MMAP_THRESHOLD, _NEVER)


@contextlib.contextmanager
def determinism(enabled: bool) -> Iterator[None]:
    """Inside the block, torch uses deterministic algorithms and raises an error for operations that have none.

    See https://docs.pytorch.org/docs/stable/notes/randomness.html. Does nothing unless `enabled`.
    """
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
    """Peak FLOP/s of the device in that precision; None if it is unknown."""
    if device.type != "cuda" or precision != "bf16":
        return None
    gpu = gpu_named(torch.cuda.get_device_name(device))
    return gpu.peak_flops if gpu else None
