"""Accelerators as their makers specify them: what hours, memory and energy of a plan are computed from."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One accelerator."""

    name: str
    peak_flops: float
    """FLOP/s of dense bf16 matrix products, accumulated in fp32."""
    memory_bytes: int
    """Device memory."""
    watts: float
    """Board power at full load."""
    per_node: int
    """In a node of the usual server; tensor parallelism stays inside it."""


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu(name="a100", peak_flops=312e12, memory_bytes=80 * 10**9, watts=400, per_node=8),
        Gpu(name="a100-40g", peak_flops=312e12, memory_bytes=40 * 10**9, watts=400, per_node=8),
        Gpu(name="h100", peak_flops=989e12, memory_bytes=80 * 10**9, watts=700, per_node=8),
        Gpu(name="h200", peak_flops=989e12, memory_bytes=141 * 10**9, watts=700, per_node=8),
        Gpu(name="b200", peak_flops=2250e12, memory_bytes=180 * 10**9, watts=1000, per_node=8),
        Gpu(name="mi300x", peak_flops=1307e12, memory_bytes=192 * 10**9, watts=750, per_node=8),
        Gpu(name="l40s", peak_flops=362e12, memory_bytes=48 * 10**9, watts=350, per_node=8),
        Gpu(name="rtx4090", peak_flops=165e12, memory_bytes=24 * 10**9, watts=450, per_node=8),
    )
}
"""By name; SXM or OAM boards where there are several, from the makers' data sheets."""
