"""Which accelerator a device name stands for, and what it can do at most."""

import pytest

from components.hardware import GPUS, gpu_named

PEAKS = {
    "NVIDIA A100-SXM4-80GB": ("a100", 312e12),
    "NVIDIA A100-SXM4-40GB": ("a100-40g", 312e12),
    "NVIDIA A100-PCIE-40GB": ("a100-40g", 312e12),
    "NVIDIA A100 80GB PCIe": ("a100", 312e12),
    "NVIDIA H100 PCIe": ("h100-pcie", 756e12),
    "NVIDIA H100 NVL": ("h100-nvl", 835e12),
    "NVIDIA H100 80GB HBM3": ("h100", 989e12),
    "NVIDIA H200": ("h200", 989e12),
    "NVIDIA H200 NVL": ("h200-nvl", 835e12),
    "NVIDIA B200": ("b200", 2250e12),
    "NVIDIA L40S": ("l40s", 362e12),
    "NVIDIA GeForce RTX 4090": ("rtx4090", 165e12),
    "AMD Instinct MI300X": ("mi300x", 1307e12),
}

OTHERS = (
    "NVIDIA GH200 480GB",
    "NVIDIA GB200",
    "NVIDIA L40",
    "NVIDIA RTX A1000",
    "NVIDIA GeForce RTX 4090 Laptop GPU",
    "NVIDIA GeForce RTX 4090 D",
    "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
    "NVIDIA H100 80GB HBM3 MIG 3g.40gb",
    "Tesla V100-SXM2-16GB",
)


@pytest.mark.parametrize("device", PEAKS)
def test_a_device_name_stands_for_its_own_board(device: str) -> None:
    gpu = gpu_named(device)
    assert gpu is not None
    assert (gpu.name, gpu.peak_flops) == PEAKS[device]


@pytest.mark.parametrize("device", OTHERS)
def test_a_name_that_only_looks_like_a_known_one_has_no_peak(device: str) -> None:
    assert gpu_named(device) is None


def test_every_board_is_found_by_some_name() -> None:
    assert {name for name, _ in PEAKS.values()} == set(GPUS)
