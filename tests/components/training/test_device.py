"""Devices and precisions."""

import subprocess
import sys

import pytest
import torch

from components.training.device import determinism, peak_flops, resolved_precision, training_device

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_precision_that_was_chosen_stays(precision: str) -> None:
    assert resolved_precision(precision, CPU) == precision


def test_auto_is_bf16_exactly_where_the_processor_multiplies_it() -> None:
    capabilities = torch.cpu.get_capabilities()
    native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    assert resolved_precision("auto", CPU) == ("bf16" if native else "fp32")


def test_the_peak_of_a_processor_is_not_known() -> None:
    assert peak_flops(CPU, "bf16") is None


@pytest.mark.parametrize("wanted", [True, False])
def test_determinism_is_switched_on_where_it_is_wanted_and_off_afterwards(wanted: bool) -> None:
    with determinism(wanted):
        assert torch.are_deterministic_algorithms_enabled() is wanted
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_pages_of_freed_tensors_serve_the_next_ones() -> None:
    script = """
import resource, torch
from components.training.device import keep_freed_memory

def pages_taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step = [torch.zeros(1 << 23) for _ in range(4)]
    del step
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = [pages_taken() for _ in range(5)]
keep_freed_memory()
print(min(given_back), [pages_taken() for _ in range(5)][-1])
"""
    # In a process of its own: here other threads and what earlier tests left take part of the room
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    given_back, kept = map(int, ended.stdout.split())
    assert kept * 10 < given_back


@pytest.mark.gpu
def test_a_gpu_is_used_where_there_is_one() -> None:
    assert training_device(0).type == "cuda"
