"""Training beside a plain PyTorch loop and Hugging Face's Trainer, and what a checkpoint costs the step.

`python -m tests.benchmarks.training [small]`. Every contender trains in processes of its own, in turns, so that what else
happens on the machine meets all alike; the figure is the median over the turns of tokens per second after the first steps. All
train in bf16 where the machine multiplies it natively, else in fp32.
"small" is for trying the benchmark out: its ratios mean nothing.
"""

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifacts import ModelShape
from tests.benchmarks.rows import Row, write

WARM_STEPS = 3
"""Steps that do not count: the first ones allocate, and compile."""

LIMIT_STALL_SECONDS = 0.2
LIMIT_STALL_SHARE = 0.01
INTERVAL_SECONDS = 300.0

STALLS, STEPS_BETWEEN = 3, 10
"""Checkpoints whose cost is measured, and steps between them."""


@dataclass(frozen=True)
class Size:
    """What is trained."""

    shape: ModelShape
    sequences: int
    """In a micro-batch."""
    micro_batches: int
    steps: int
    turns: int
    stalled: ModelShape
    """The model whose checkpoints are timed."""


def _shape(layers: int, width: int, heads: int, ffn: int, vocabulary: int) -> ModelShape:
    return ModelShape(n_layer=layers, d_model=width, n_head=heads, n_kv_head=heads, d_ffn=ffn, vocab_size=vocabulary, context=256)


SIZES = {
    "full": Size(_shape(7, 256, 4, 768, 4992), 8, 2, 12, 3, _shape(12, 768, 12, 2048, 10_240)),
    "small": Size(_shape(2, 64, 4, 192, 512), 2, 2, 6, 1, _shape(2, 128, 4, 384, 1024)),
}
"""8.5 M and, for the stall, 100.7 M parameters; and next to nothing."""


def main() -> None:
    """Run the benchmark and write its rows."""
    name = sys.argv[1] if len(sys.argv) > 1 else "full"
    size = SIZES[name]
    found: dict[str, list[float]] = {contender: [] for contender in CONTENDERS}
    for _ in range(size.turns):
        for contender in CONTENDERS:
            found[contender].append(float(measured(contender, name)))
    speed = {contender: statistics.median(values) for contender, values in found.items()}
    blocked, cost = json.loads(measured("stall", name))
    precision = chosen_precision()
    rows = [
        _speed(f"{precision}: ours / plain loop", speed["ours"], speed["plain"], ">= 0.97"),
        _speed(f"{precision} compiled: ours / plain loop", speed["ours-compiled"], speed["plain-compiled"], ">= 0.97"),
        _speed(f"{precision}: ours / Trainer", speed["ours"], speed["trainer"], ">= 1.25"),
        _speed(f"{precision}: ours compiled / Trainer", speed["ours-compiled"], speed["trainer"], ">= 1.25"),
        Row(name="checkpoint: blocking part", ours=blocked, reference=LIMIT_STALL_SECONDS, target="<= 1", unit="s"),
        Row(
            name="checkpoint: share of the time, every 5 min",
            ours=cost / INTERVAL_SECONDS,
            reference=LIMIT_STALL_SHARE,
            target="<= 1",
            unit="of time",
        ),
    ]
    write("training" if name == "full" else f"training-{name}", rows, Path(".longrun"))


def _speed(name: str, ours: float, theirs: float, target: str) -> Row:
    return Row(name=name, ours=ours, reference=theirs, target=target, unit="tokens/s")


def measured(contender: str, size: str) -> str:
    """What a process of its own prints last."""
    code = f"from tests.benchmarks.training import *; print(run({contender!r}, SIZES[{size!r}]))"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return ended.stdout.splitlines()[-1]


def chosen_precision() -> str:
    """What this machine multiplies natively."""
    import torch

    from components.training.device import resolved_precision

    return resolved_precision("auto", torch.device("cpu"))


def run(contender: str, size: Size) -> float | list[float]:
    """Tokens per second, or the two figures of a stall."""
    return stall(size) if contender == "stall" else CONTENDERS[contender](size)


class Marks:
    """A reporter that notes when each step ended, and the seconds that it waited for checkpoints."""

    rank, world_size = 0, 1

    def __init__(self) -> None:
        self.times: list[float] = []
        self.waited = 0.0
        self._steps = 0

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """A step has ended."""
        self.times.append(time.perf_counter())
        self._steps += 1
        if "seconds/checkpoint" in values:  # the mean since it was last reported
            self.waited, self._steps = self.waited + values["seconds/checkpoint"] * self._steps, 0


def rate(times: list[float], size: Size) -> float:
    """Tokens per second after the warm steps."""
    tokens = size.sequences * size.micro_batches * size.shape.context * (len(times) - WARM_STEPS)
    return tokens / (times[-1] - times[WARM_STEPS - 1])


def rows_of(step: int, size: Size) -> Any:
    """Random ids of one global batch: [sequences of all micro-batches, context + 1]."""
    import torch

    generator = torch.Generator().manual_seed(step)
    shape = (size.sequences * size.micro_batches, size.shape.context + 1)
    return torch.randint(0, size.shape.vocab_size, shape, generator=generator)


@dataclass(frozen=True)
class Batches:
    """The same rows for every contender."""

    size: Size

    def micro_batches(self, step: int, rank: int, world_size: int) -> list[dict[str, Any]]:
        """All of them: there is one rank."""
        return [{"tokens": ids[:, :-1], "targets": ids[:, 1:]} for ids in rows_of(step, self.size).split(self.size.sequences)]


def ours(size: Size, *, compiled: bool = False, shape: ModelShape | None = None, **changes: Any) -> Marks:
    """The training loop."""
    from components.model.decoder import Decoder, initialise
    from components.pretraining.packed import NextToken
    from components.training.config import TrainingSettings
    from components.training.loop import train

    model, marks = Decoder(shape or size.shape), Marks()
    initialise(model, 0.02, 0)
    settings = {"steps": size.steps, "learning_rate": 1e-3, "warmup_steps": 2, "precision": "auto", "compile": compiled}
    with tempfile.TemporaryDirectory() as place:
        train(
            model,
            NextToken(),
            Batches(size),
            TrainingSettings(**settings | {"checkpoint_seconds": None} | changes),
            reporter=marks,
            checkpoints=Path(place) / "checkpoints",
            identity={},
        )
    return marks


def plain(size: Size, *, compiled: bool = False) -> float:
    """What one would write without a framework: gradients summed and weights kept in fp32, clipped AdamW; passes in bf16 read
    copies of the weights.
    """
    import torch
    from torch import nn

    from components.model.decoder import Decoder, initialise
    from components.model.loss import cross_entropy

    model = Decoder(size.shape)
    initialise(model, 0.02, 0)
    masters = list(model.parameters())
    if copied := chosen_precision() == "bf16":
        masters = [p.detach().clone().requires_grad_() for p in masters]
        model.to(torch.bfloat16)
    copies = list(zip(model.parameters(), masters, strict=True)) if copied else []
    if compiled:
        model.compile()
    optimizer = torch.optim.AdamW(masters, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    for master in masters:
        master.grad = torch.zeros_like(master)
    times = []
    for step in range(size.steps):
        batches = Batches(size).micro_batches(step, 0, 1)
        weight, total = sum(batch["targets"].numel() for batch in batches), 0.0
        for batch in batches:
            loss = cross_entropy(model(batch["tokens"]), batch["targets"], reduction="none").sum() / weight
            loss.backward()
            total += float(loss.detach())
            for parameter, master in copies:
                assert parameter.grad is not None
                assert master.grad is not None
                master.grad += parameter.grad
                parameter.grad = None
        nn.utils.clip_grad_norm_(masters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        with torch.no_grad():
            for parameter, master in copies:
                parameter.copy_(master)
        times.append(time.perf_counter())
    return rate(times, size)


def trainer(size: Size) -> float:
    """Hugging Face's Trainer as it ships, with its LLaMA."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    from components.model.huggingface import huggingface_config

    times: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Notes when each step ended."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    rows = torch.cat([rows_of(step, size)[:, :-1] for step in range(size.steps)])
    data = [{"input_ids": row, "labels": row} for row in rows]
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            output_dir=place,
            per_device_train_batch_size=size.sequences,
            gradient_accumulation_steps=size.micro_batches,
            max_steps=size.steps,
            learning_rate=1e-3,
            bf16=chosen_precision() == "bf16",
            use_cpu=True,
            save_strategy="no",
            report_to=[],
        )
        model = LlamaForCausalLM(LlamaConfig(**huggingface_config(size.shape, torch.float32)))
        Trainer(model=model, args=arguments, train_dataset=data, callbacks=[Clock()]).train()
    return rate(times, size)


def stall(size: Size) -> list[float]:
    """Seconds that the steps of the larger model waited for a checkpoint, and by how much they were longer in all on its account.

    Of the steps between two checkpoints the first share the machine with the writing, the last have it to themselves.
    """
    little = Size(size.stalled, 1, 1, (STALLS + 1) * STEPS_BETWEEN, 1, size.stalled)
    marks = ours(little, checkpoint_steps=STEPS_BETWEEN, keep_checkpoints=1)
    lengths = [after - before for before, after in itertools.pairwise(marks.times)][STEPS_BETWEEN - 1 :]
    alone = statistics.median(length for number, length in enumerate(lengths) if number % STEPS_BETWEEN >= STEPS_BETWEEN // 2)
    return [marks.waited / STALLS, sum(lengths) / STALLS - STEPS_BETWEEN * alone]


CONTENDERS: dict[str, Callable[[Size], float]] = {
    "ours": lambda size: rate(ours(size).times, size),
    "plain": plain,
    "trainer": trainer,
    "ours-compiled": lambda size: rate(ours(size, compiled=True).times, size),
    "plain-compiled": lambda size: plain(size, compiled=True),
}


if __name__ == "__main__":
    main()
