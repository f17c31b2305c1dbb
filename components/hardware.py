"""Accelerators as their makers specify them, for the hours, memory and energy of a plan and the utilisation of a training.

Pure arithmetic.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One accelerator."""

    name: str
    device: str
    """Regular expression for its device name, as `torch.cuda.get_device_name` and nvidia-smi give it."""
    peak_flops: float
    """FLOP/s of dense bf16 matrix products, accumulated in fp32."""
    memory_bytes: int
    """Device memory."""
    watts: float
    """Board power at full load."""
    per_node: int
    """Accelerators in a node of the usual server; tensor parallelism stays inside it."""


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
"""By name, the more specific expression first, as the first match counts; SXM or OAM boards unless the name says otherwise.

From the makers' data sheets, which mostly give the peak with sparsity, twice the dense one (TFLOP/s of bf16): NVIDIA A100 (624),
H100 (SXM 1 979, PCIe 1 513, NVL 1 671), H200 (SXM 1 979, NVL 1 671), L40S (733) and HGX B200 (36 000 for eight); NVIDIA's white
paper of the Ada architecture for the RTX 4090 (165.2, dense); AMD Instinct MI300X (1 307.4, dense).
"""

_OTHER_CHIPS = "MIG|Laptop|D"
"""Words of device names that mean another chip than the rest of the name: a MIG slice, and two chips named like the RTX 4090."""


def gpu_named(device: str) -> Gpu | None:
    """The accelerator with a device name such as "NVIDIA H100 PCIe"; None for an unknown one."""
    if _has_words(_OTHER_CHIPS, device):
        return None
    return next((gpu for gpu in GPUS.values() if _has_words(gpu.device, device)), None)


def _has_words(words: str, device: str) -> bool:
    """Whether a device name holds the words whole: an RTX A1000 is no A100, and a GB200 no B200."""
    return re.search(rf"\b(?:{words})\b", device) is not None
