"""Training beside a plain PyTorch loop and Hugging Face's Trainer, and what a checkpoint costs the step.

`python -m tests.benchmarks.training [SIZE]`. Every contender trains in processes of its own, in turns, so that what else
happens on the machine meets all alike; the figure is the median over the turns of tokens per second after the first steps. All
train in bf16 where the machine multiplies it natively, else in fp32.
"small" is for trying the benchmark out: its ratios mean nothing. "gpu" is for one of 80 GB: it also says how much of its peak
is used, and what the loss takes.
"""

import contextlib
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

STALLS = 3
"""Checkpoints whose cost is measured."""


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
    between: int = 10
    """Steps between them: long enough to write one."""


def _shape(layers: int, width: int, heads: int, ffn: int, vocabulary: int, context: int = 256) -> ModelShape:
    return ModelShape(
        n_layer=layers, d_model=width, n_head=heads, n_kv_head=heads, d_ffn=ffn, vocab_size=vocabulary, context=context
    )


_STALLED = _shape(12, 768, 12, 2048, 10_240)
SIZES = {
    "full": Size(_shape(7, 256, 4, 768, 4992), 8, 2, 12, 3, _STALLED),
    "small": Size(_shape(2, 64, 4, 192, 512), 2, 2, 6, 1, _shape(2, 128, 4, 384, 1024)),
    "gpu": Size(_shape(24, 2048, 16, 5504, 102_400, 4096), 2, 8, 8, 1, _STALLED, 400),
}
"""8.5 M and, for the stall, 100.7 M parameters; next to nothing; and 1.63 thousand million with the paper's vocabulary."""

LOSS_ROWS = 2048
"""Of `loss`, with the head in parts: targets whose logits exist at once."""


def main() -> None:
    """Run the benchmark and write its rows."""
    name = sys.argv[1] if len(sys.argv) > 1 else "full"
    size = SIZES[name]
    blocked, cost = json.loads(measured("stall", name))
    loss = json.loads(measured("loss", name)) if on_gpu() else {}
    found: dict[str, list[float]] = {contender: [] for contender in CONTENDERS}
    for _ in range(size.turns):
        for contender in CONTENDERS:
            found[contender].append(float(measured(contender, name)))
            print(f"{contender}: {found[contender][-1]:,.0f} tokens/s", flush=True)
    speed = {contender: statistics.median(values) for contender, values in found.items()}
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
        *(_of_a_gpu(size, speed, loss) if loss else ()),
    ]
    write("training" if name == "full" else f"training-{name}", rows, Path(".longrun"))


def _speed(name: str, ours: float, theirs: float, target: str) -> Row:
    return Row(name=name, ours=ours, reference=theirs, target=target, unit="tokens/s")


def _of_a_gpu(size: Size, speed: Mapping[str, float], loss: Mapping[str, list[float]]) -> list[Row]:
    """How much of the device's peak is used, and the loss beside the one that one would write: fp32 logits and autograd."""
    from components.flops import model_flops_per_token
    from components.training.device import peak_flops, training_device

    peak = peak_flops(training_device(), "bf16")
    assert peak is not None, "a GPU whose peak is not known"
    used = {
        name: speed[name] * model_flops_per_token(size.shape, size.shape.context) / peak for name in ("ours", "ours-compiled")
    }
    (naive, naive_ms), others = loss["naive"], {name: found for name, found in loss.items() if name != "naive"}
    return [
        *(
            Row(name=f"{name}: FLOPs used", ours=share, reference=0.45, target=">= 1", unit="of peak")
            for name, share in used.items()
        ),
        *(
            row
            for name, (memory, ms) in others.items()
            for row in (
                Row(name=f"loss, {name}: peak memory", ours=memory, reference=naive, target="<= 0.25", unit="MB"),
                Row(name=f"loss, {name}: time", ours=ms, reference=naive_ms, target="<= 1", unit="ms"),
            )
        ),
    ]


def measured(contender: str, size: str) -> str:
    """What a process of its own prints last."""
    code = f"from tests.benchmarks.training import *; print(run({contender!r}, SIZES[{size!r}]))"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return ended.stdout.splitlines()[-1]


def chosen_precision() -> str:
    """What this machine multiplies natively."""
    from components.training.device import resolved_precision, training_device

    return resolved_precision("auto", training_device())


def on_gpu() -> bool:
    """Whether the trainings run on one."""
    from components.training.device import training_device

    return training_device().type == "cuda"


def run(contender: str, size: Size) -> float | str:
    """Tokens per second, or JSON of the figures of a stall, or of the losses."""
    others = {"stall": stall, "loss": losses}
    return json.dumps(others[contender](size)) if contender in others else CONTENDERS[contender](size)


class Enough(Exception):
    """All steps that are measured are done; the checkpoint at a training's end is not measured."""


class Marks:
    """A reporter that notes when each of some steps ended, and the seconds that it waited for checkpoints; then it ends all."""

    rank, world_size = 0, 1

    def __init__(self, steps: int) -> None:
        self.times: list[float] = []
        self.waited = 0.0
        self._all, self._steps = steps, 0

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """A step has ended."""
        self.times.append(time.perf_counter())
        self._steps += 1
        if "seconds/checkpoint" in values:  # the mean since it was last reported
            self.waited, self._steps = self.waited + values["seconds/checkpoint"] * self._steps, 0
        if len(self.times) == self._all:
            raise Enough


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


def model_of(shape: ModelShape) -> Any:
    """A decoder with random weights, made where it is trained."""
    import torch

    from components.model.decoder import Decoder
    from components.training.device import training_device

    with training_device(), torch.no_grad():
        model = Decoder(shape)
        for matrix in (parameter for parameter in model.parameters() if parameter.dim() > 1):
            matrix.normal_(0.0, 0.02)
    return model


def ours(size: Size, *, compiled: bool = False, **changes: Any) -> Marks:
    """The training loop."""
    from components.pretraining.packed import NextToken
    from components.training.config import TrainingSettings
    from components.training.loop import train

    marks = Marks(size.steps)
    settings = {"steps": size.steps + 1, "learning_rate": 1e-3, "warmup_steps": 2, "precision": "auto", "compile": compiled}
    with tempfile.TemporaryDirectory() as place, contextlib.suppress(Enough):
        train(
            model_of(size.shape),
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

    from components.model.loss import cross_entropy
    from components.training.device import training_device

    model, device = model_of(size.shape), training_device()
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
            moved = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
            loss = cross_entropy(model(moved["tokens"]), moved["targets"], reduction="none").sum() / weight
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
    from components.training.device import training_device

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
            use_cpu=not on_gpu(),
            save_strategy="no",
            report_to=[],
        )
        with training_device():
            model = LlamaForCausalLM(LlamaConfig(**huggingface_config(size.shape, torch.float32)))
        Trainer(model=model, args=arguments, train_dataset=data, callbacks=[Clock()]).train()
    return rate(times, size)


def stall(size: Size) -> list[float]:
    """Seconds that the steps of the larger model waited for a checkpoint, and by how much they were longer in all on its account.

    Of the steps between two checkpoints the first share the machine with the writing, the last have it to themselves.
    """
    between = size.between
    little = Size(size.stalled, 1, 1, (STALLS + 1) * between, 1, size.stalled)
    marks = ours(little, checkpoint_steps=between, keep_checkpoints=1)
    lengths = [after - before for before, after in itertools.pairwise(marks.times)][between - 1 :]
    alone = statistics.median(length for number, length in enumerate(lengths) if number % between >= between // 2)
    return [marks.waited / STALLS, sum(lengths) / STALLS - between * alone]


def losses(size: Size) -> dict[str, list[float]]:
    """Peak MB beside the inputs, and milliseconds, of both passes from the hidden states of a micro-batch through the head."""
    import torch
    from torch.nn import functional as F

    from components.model.loss import cross_entropy, linear_cross_entropy

    rows, vocabulary = size.sequences * size.shape.context, size.shape.vocab_size
    targets = torch.randint(0, vocabulary, (rows,), device="cuda")
    hidden = torch.randn(rows, size.shape.d_model, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    head = torch.randn(vocabulary, size.shape.d_model, device="cuda", dtype=torch.bfloat16).mul_(0.02).requires_grad_()
    losses = {
        "naive": lambda: F.cross_entropy((hidden @ head.T).float(), targets, reduction="sum"),
        "in place": lambda: cross_entropy(hidden @ head.T, targets, reduction="none").sum(),
        "head in parts": lambda: linear_cross_entropy(hidden, head, targets, rows=LOSS_ROWS)[0],
    }
    return {name: _taken(loss, [hidden, head]) for name, loss in losses.items()}


def _taken(loss: Callable[[], Any], inputs: list[Any]) -> list[float]:
    import torch

    lengths = []
    for _ in range(10):
        for leaf in inputs:
            leaf.grad = None
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        loss().backward()
        end.record()
        end.synchronize()
        lengths.append(begin.elapsed_time(end))
    return [(torch.cuda.max_memory_allocated() - before) / 1e6, statistics.median(lengths)]


CONTENDERS: dict[str, Callable[[Size], float]] = {
    "ours": lambda size: rate(ours(size).times, size),
    "plain": plain,
    "trainer": trainer,
    "ours-compiled": lambda size: rate(ours(size, compiled=True).times, size),
    "plain-compiled": lambda size: plain(size, compiled=True),
}


if __name__ == "__main__":
    main()
