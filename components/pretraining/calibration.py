"""The time of a pretraining step on this machine, measured with the training loop on random tokens."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from components.artifacts import ModelShape
from components.artifacts.step_times import StepSize, StepTime
from components.errors import ResourceError
from components.model.decoder import Decoder, initial_weight
from components.pretraining.packed import NextToken
from components.training.checkpoints.saving import CheckpointPlan
from components.training.config import TrainingConfig, TrainingSettings
from components.training.deepspeed_library import deepspeed
from components.training.loop import TrainSpec, train
from components.training.objective import Batch

ROUNDS = 2
"""How often each size is measured: a machine that does something else meanwhile is noticed by the difference."""

WARM_UP = 2
"""First steps of a measurement that are not timed: they allocate memory and choose kernels."""

_STEPS = 1_000_000
"""More than any measurement takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """The steps that are measured on a kind of device."""

    micro_batch_tokens: int
    """Tokens in a forward and backward pass."""
    fitted: tuple[StepSize, ...]
    """What rates are fitted to: shapes, vocabularies, sequence lengths and batches that differ in all that costs time."""
    held_out: tuple[StepSize, ...]
    """What the rates are compared with."""


def sizes_for(device: torch.device) -> Sizes:
    """The steps that are measured on that device: models of up to a few million weights on a CPU, of up to a billion on a GPU."""
    return _ON_CPU if device.type == "cpu" else _ON_GPU


def _sizes(tokens: int, fitted: Sequence[tuple[int, ...]], held_out: Sequence[tuple[int, ...]]) -> Sizes:
    """Sizes of layers, width, width of a head, vocabulary, sequence length and sequences in a step."""

    def size(n_layer: int, width: int, head: int, vocabulary: int, length: int, batch: int) -> StepSize:
        heads, ffn = width // head, -(-8 * width // 3 // 32) * 32
        shape = ModelShape(
            n_layer=n_layer, d_model=width, n_head=heads, n_kv_head=heads, d_ffn=ffn, vocab_size=vocabulary, context=length
        )
        micro_batch = min(batch, max(1, tokens // length))
        return StepSize(shape=shape, sequence_length=length, batch_size=batch, micro_batch_size=micro_batch)

    return Sizes(
        micro_batch_tokens=tokens,
        fitted=tuple(size(*values) for values in fitted),
        held_out=tuple(size(*values) for values in held_out),
    )


_ON_CPU = _sizes(
    1024,
    (
        (2, 96, 32, 512, 128, 8),
        (4, 192, 64, 4096, 256, 4),
        (2, 64, 16, 1024, 256, 16),
        (8, 64, 32, 512, 256, 4),
        (1, 256, 64, 2048, 256, 8),
        (4, 256, 64, 1024, 512, 2),
        (2, 128, 32, 4096, 128, 32),
        (6, 128, 16, 512, 128, 16),
        (1, 128, 64, 8192, 256, 4),
        (2, 384, 64, 512, 256, 4),
        (4, 96, 32, 512, 512, 4),
        (1, 64, 32, 4096, 128, 8),
    ),
    ((3, 128, 32, 1024, 256, 8), (6, 256, 64, 8192, 512, 2)),
)
_ON_GPU = _sizes(
    32_768,
    (
        (4, 256, 64, 4096, 512, 64),
        (8, 512, 64, 8192, 1024, 32),
        (16, 512, 64, 4096, 512, 128),
        (4, 1024, 128, 32_768, 1024, 32),
        (12, 1024, 128, 8192, 2048, 16),
        (24, 1024, 128, 4096, 1024, 32),
        (8, 2048, 128, 32_768, 2048, 16),
        (2, 2048, 128, 102_400, 1024, 32),
        (2, 512, 64, 102_400, 512, 64),
        (4, 4096, 128, 8192, 2048, 16),
        (6, 512, 64, 4096, 4096, 8),
        (2, 256, 64, 32_768, 512, 16),
    ),
    ((12, 768, 64, 16_384, 1024, 64), (16, 2048, 128, 32_768, 2048, 16)),
)


def step_times(sizes: Sequence[StepSize], config: TrainingConfig, *, seconds: float) -> tuple[StepTime, ...]:
    """The step times of all sizes, measured one after another in `ROUNDS` rounds that take about `seconds` together.

    A measurement is the beginning of a training by `components.training.loop.train`, on the device that it would use, with data
    of the form that a pretraining has. Where the machine is so slow that the time is over early, later rounds are left out.

    Raises:
        ResourceError: the time was over before each size was measured once.
    """
    deepspeed()  # the time is for steps, not for loading the library
    deadline = time.monotonic() + seconds
    medians: dict[int, list[float]] = {number: [] for number in range(len(sizes))}
    for turn in range(ROUNDS * len(sizes)):
        turns, remaining = ROUNDS * len(sizes) - turn, deadline - time.monotonic()
        if remaining <= 0:
            break
        medians[turn % len(sizes)].append(_median(sizes[turn % len(sizes)], config, remaining / turns))
    if missing := sum(not measured for measured in medians.values()):
        raise ResourceError(
            f"{seconds:.0f} s were too short to measure the steps of {len(sizes)} models, {missing} are missing: this machine is "
            "slow, or busy with something else; try again when it is idle"
        )
    return tuple(StepTime(size=size, medians=tuple(medians[number])) for number, size in enumerate(sizes))


def _median(size: StepSize, config: TrainingConfig, seconds: float) -> float:
    """The median time of the steps that end within `seconds`, after `WARM_UP` steps; of one step at least."""
    timer = _Timer(time.perf_counter() + seconds)
    with torch.device("meta"):
        model = Decoder(size.shape)
    spec = TrainSpec(
        model=model, objective=NextToken(), batches=_RandomTokens(size), weights=partial(initial_weight, std=0.02, seed=0)
    )
    settings = TrainingSettings(config=config, steps=_STEPS, learning_rate=1e-4, warmup_steps=WARM_UP)
    with tempfile.TemporaryDirectory() as directory, contextlib.suppress(_Enough):
        train(spec, settings, CheckpointPlan(root=Path(directory) / "checkpoints", identity={}), timer)
    return statistics.median(timer.lengths[WARM_UP:])


class _Enough(Exception):
    """Ends a training run of which enough steps have been timed."""


@dataclass
class _Timer:
    """The reporter of a training run that only its steps' times are wanted of."""

    until: float
    """By `time.perf_counter`."""
    rank: int = 0
    world_size: int = 1
    lengths: list[float] = field(default_factory=list)
    """Seconds of each step; the first holds the start of the training too."""
    _last: float = field(default_factory=time.perf_counter)

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Note how long the step took. Raises `_Enough` when the time is over and a step has been timed."""
        now = time.perf_counter()
        self.lengths.append(now - self._last)
        self._last = now
        if step > WARM_UP and now >= self.until:
            raise _Enough

    def checkpoint_wanted(self) -> bool:
        """Never: a calibration is not resumed."""
        return False


@dataclass(frozen=True)
class _RandomTokens:
    """The data of a training run that learns nothing."""

    size: StepSize

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        """All micro-batches of a step: there is one rank."""
        generator = torch.Generator().manual_seed(step)
        all_rows = (self.size.batch_size, self.size.sequence_length + 1)
        ids = torch.randint(0, self.size.shape.vocab_size, all_rows, generator=generator)
        return [{"tokens": rows[:, :-1], "targets": rows[:, 1:]} for rows in ids.split(self.size.micro_batch_size)]
