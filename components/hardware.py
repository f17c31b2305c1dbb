"""Vendor specifications of accelerators, for the time, memory and energy of a plan and the utilisation of a training run."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """The specification of one accelerator."""

    name: str
    device: str
    """Regular expression that matches its device name in `torch.cuda.get_device_name` and nvidia-smi."""
    peak_flops: float
    """Peak FLOP/s of dense bf16 matrix products with fp32 accumulation."""
    memory_bytes: int
    """Device memory in bytes."""
    watts: float
    """Board power at full load, in watts."""
    per_node: int
    """Accelerators per node in a typical server; tensor parallelism stays within a node."""


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu(name="a100-40g", device="A100.*40GB", peak_flops=312e12, memory_bytes=40 * 10**9, watts=400, per_node=8),
        Gpu(name="a100", device="A100", peak_flops=312e12, memory_bytes=80 * 10**9, watts=400, per_node=8),
        Gpu(name="h100-pcie", device="H100 PCIe", peak_flops=756e12, memory_bytes=80 * 10**9, watts=350, per_node=8),
        Gpu(name="h100-nvl", device="H100 NVL", peak_flops=835e12, memory_bytes=94 * 10**9, watts=400, per_node=8),
        Gpu(name="h100", device="H100", peak_flops=989e12, memory_bytes=80 * 10**9, watts=700, per_node=8),
        Gpu(name="h200-nvl", device="H200 NVL", peak_flops=835e12, memory_bytes=141 * 10**9, watts=600, per_node=8),
        Gpu(name="h200", device="H200", peak_flops=989e12, memory_bytes=141 * 10**9, watts=700, per_node=8),
        Gpu(name="b200", device="B200", peak_flops=2250e12, memory_bytes=180 * 10**9, watts=1000, per_node=8),
        Gpu(name="mi300x", device="MI300X", peak_flops=1307e12, memory_bytes=192 * 10**9, watts=750, per_node=8),
        Gpu(name="l40s", device="L40S", peak_flops=362e12, memory_bytes=48 * 10**9, watts=350, per_node=8),
        Gpu(name="rtx4090", device="RTX 4090", peak_flops=165e12, memory_bytes=24 * 10**9, watts=450, per_node=8),
    )
}
"""Accelerators by name; SXM or OAM boards unless the name says otherwise. The first match counts.

Source: the vendors' data sheets. Most give the peak with sparsity, which is twice the dense peak (TFLOP/s in bf16): NVIDIA A100
(624), H100 (SXM 1 979, PCIe 1 513, NVL 1 671), H200 (SXM 1 979, NVL 1 671), L40S (733), HGX B200 (36 000 for eight). Dense peaks:
RTX 4090 (165.2, NVIDIA's white paper on the Ada architecture), AMD Instinct MI300X (1 307.4).
"""

_OTHER_CHIPS = "MIG|Laptop|D"
"""Words in device names that mark a different chip: MIG slices, and the laptop and D variants of the RTX 4090."""


def gpu_named(device: str) -> Gpu | None:
    """The accelerator with a device name such as "NVIDIA H100 PCIe"; None if it is unknown."""
    if _has_words(_OTHER_CHIPS, device):
        return None
    return next((gpu for gpu in GPUS.values() if _has_words(gpu.device, device)), None)


def _has_words(words: str, device: str) -> bool:
    """Whether a device name contains `words` as whole words: an RTX A1000 is not an A100, and a GB200 is not a B200."""
    return re.search(rf"\b(?:{words})\b", device) is not None
