"""The plan's memory estimate beside what a training takes."""

import json
import os
import subprocess
import sys

import pytest
import torch

from components.flops import CHECKPOINT_BYTES, parameters
from components.scaling.planning.layouts import memory_per_rank
from components.training.device import resolved_precision
from components.training.parallel.layout import ParallelLayout
from tests.components.training.peak_memory import MALLOC, SHAPE
from tests.paths import ROOT


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the kernel does not let this process reset its peak")
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("sequences", [2, 8])
def test_a_training_takes_the_memory_that_its_plan_says(sequences: int, precision: str) -> None:
    if precision == "bf16" and resolved_precision("auto", torch.device("cpu")) != "bf16":
        pytest.skip("bf16 is emulated here, by fp32 copies of what is multiplied, which no plan counts")
    command = [sys.executable, "-m", "tests.components.training.peak_memory", str(sequences), precision]
    environment = {**os.environ, **MALLOC, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    layout, length = ParallelLayout(), SHAPE.context
    planned = memory_per_rank(layout, SHAPE, micro_batch_size=sequences, sequence_length=length, precision=precision)
    copy = CHECKPOINT_BYTES * parameters(SHAPE)  # there is room for it from the beginning; `require_memory` asks for both
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(planned + copy, rel=0.15)
