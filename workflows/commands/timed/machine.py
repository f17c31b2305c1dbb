"""What this machine computes with, and how busy it is."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

_CPUS = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/gpus")


def this_machine() -> dict[str, str]:
    """What decides how fast this machine trains: its processor, the cores that this process may use, GPUs and torch's version.

    Nothing is loaded for it: the GPUs are those that NVIDIA's driver lists.
    """
    gpus = [_value(path, "Model") for path in sorted(_NVIDIA.glob("*/information"))]
    return {
        "processor": _value(_CPUS, "model name") or platform.processor() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "gpus": ", ".join(gpus),
        "torch": version("torch"),
    }


def load_per_core() -> float:
    """Processes that wanted to run in the last minute, on average, for each core that this process may use."""
    return os.getloadavg()[0] / len(os.sched_getaffinity(0))


def _value(path: Path, key: str) -> str:
    """What a file of lines `key : value` says of `key`; empty where it does not."""
    if not path.is_file():
        return ""
    pairs = (line.partition(":") for line in path.read_text(errors="replace").splitlines())
    return next((value.strip() for name, _, value in pairs if name.strip() == key), "")
