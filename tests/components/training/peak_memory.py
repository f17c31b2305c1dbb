"""How much memory a training takes at its peak, the process itself left out: python -m tests.components.training.peak_memory.

Resident memory tells what tensors take only where malloc gives back what is freed: see `MALLOC`.
"""

import gc
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

import torch

from components.artifacts import ModelShape
from components.model.decoder import Decoder, initialise
from components.pretraining.packed import NextToken
from components.training import loop
from components.training.checkpoints.saving import CheckpointPlan
from components.training.config import CheckpointConfig, TrainingConfig, TrainingSettings
from components.training.loop import Batch

MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For the process: glibc maps every block of 64 KiB and more by itself, and gives it back when it is freed."""

SHAPE = ModelShape(n_layer=6, d_model=256, n_head=4, n_kv_head=2, d_ffn=768, vocab_size=8192, context=256)
"""9.1 M weights: large beside what Python allocates meanwhile."""

_TINY = ModelShape(n_layer=1, d_model=32, n_head=2, n_kv_head=2, d_ffn=64, vocab_size=64, context=32)


class Batches:
    """Two micro-batches of random tokens."""

    def __init__(self, shape: ModelShape, sequences: int) -> None:
        self.shape, self.sequences = shape, sequences

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        generator = torch.Generator().manual_seed(step)
        size = (2, self.sequences, self.shape.context + 1)
        batches = torch.randint(0, self.shape.vocab_size, size, generator=generator)
        return [{"tokens": ids[:, :-1], "targets": ids[:, 1:]} for ids in batches]


class _Peak:
    """A reporter that notes the peak after each step: the last step's checkpoint comes after the second."""

    rank, world_size = 0, 1

    def __init__(self) -> None:
        self.after: dict[int, int] = {}

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        self.after[step] = _status("VmHWM")

    def checkpoint_wanted(self) -> bool:
        return False


def peak(shape: ModelShape, sequences: int, precision: str) -> int:
    """Bytes that two steps of training take at most, beyond what the process had before."""
    gc.collect()
    before, reporter = _status("VmRSS"), _Peak()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    model = Decoder(shape)
    initialise(model, 0.02, 0)
    config = TrainingConfig(precision=precision, validation_steps=None, checkpoints=CheckpointConfig(seconds=None, permanent=()))
    settings = TrainingSettings(config=config, steps=3, learning_rate=1e-3, warmup_steps=1)
    # What malloc keeps of freed memory is not what tensors take.
    with tempfile.TemporaryDirectory() as directory, mock.patch.object(loop, "keep_freed_memory"):
        spec = loop.TrainSpec(model=model, objective=NextToken(), batches=Batches(shape, sequences))
        loop.train(spec, settings, CheckpointPlan(root=Path(directory), identity={}), reporter)
    return reporter.after[2] - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    peak(_TINY, 2, sys.argv[2])  # what is imported and set up once belongs to the process
    print(json.dumps(peak(SHAPE, int(sys.argv[1]), sys.argv[2])))
