"""Training beside a plain PyTorch loop and Hugging Face's Trainer, and what a checkpoint costs the step.

`python -m tests.benchmarks.training [PLAN]`. On a CPU all contenders train at once and take turns step by step; on a GPU, whose
memory they would have to share, one after the other.
"small" is for trying the benchmark out: its ratios mean nothing. "gpu" is for one of 80 GB: it also says how much of its peak
is used, and what the loss takes.
"""

import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifacts import ModelShape
from tests.benchmarks.rows import Row, write
from tests.benchmarks.step_turns import rates
from tests.benchmarks.training_contenders import CONTENDERS, Enough, Size, chosen_precision, on_gpu, ours

LIMIT_STALL_SECONDS = 0.2
LIMIT_STALL_SHARE = 0.01
INTERVAL_SECONDS = 300.0

STALLS = 3
"""Checkpoints whose cost is measured."""


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    size: Size
    rounds: int
    """Steps of each contender that count."""
    stalled: ModelShape
    """The model whose checkpoints are timed."""
    between: int = 20
    """Steps between them: long enough to write one."""


def _shape(layers: int, width: int, heads: int, ffn: int, vocabulary: int, context: int = 256) -> ModelShape:
    return ModelShape(
        n_layer=layers, d_model=width, n_head=heads, n_kv_head=heads, d_ffn=ffn, vocab_size=vocabulary, context=context
    )


_STALLED = _shape(12, 768, 12, 2048, 10_240)
PLANS = {
    "full": Plan(Size(_shape(7, 256, 4, 768, 4992), 8, 2), 40, _STALLED),
    "small": Plan(Size(_shape(2, 64, 4, 192, 512), 2, 2), 3, _shape(2, 128, 4, 384, 1024)),
    "gpu": Plan(Size(_shape(24, 2048, 16, 5504, 102_400, 4096), 2, 8), 5, _STALLED, 400),
}
"""8.5 M and, for the stall, 100.7 M parameters; next to nothing; and 1.63 thousand million with the paper's vocabulary."""

LOSS_ROWS = 2048
"""Of `loss`, with the head in parts: targets whose logits exist at once."""


def main() -> None:
    """Run the benchmark and write its rows."""
    name = sys.argv[1] if len(sys.argv) > 1 else "full"
    plan = PLANS[name]
    blocked, cost = measured("stall", name)
    loss = measured("losses", name) if on_gpu() else {}
    together = [[contender] for contender in CONTENDERS] if on_gpu() else [list(CONTENDERS)]
    speed: dict[str, float] = {}
    for contenders in together:
        speed |= rates(contenders, plan.size, plan.rounds)
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
        *(_of_a_gpu(plan.size, speed, loss) if loss else ()),
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
    (naive, naive_ms), others = loss["naive"], {name: figures for name, figures in loss.items() if name != "naive"}
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


def measured(what: str, plan: str) -> Any:
    """What `stall` or `losses` say in a process of its own."""
    code = f"from tests.benchmarks.training import *; print(json.dumps({what}(PLANS[{plan!r}])))"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(ended.stdout.splitlines()[-1])


class Marks:
    """Notes when each of some steps ended, and the seconds that it waited for checkpoints; then it ends the training."""

    def __init__(self, steps: int) -> None:
        self.times: list[float] = []
        self.waited = 0.0
        self._all, self._steps = steps, 0

    def note(self, values: Mapping[str, float]) -> None:
        """A step has ended."""
        self.times.append(time.perf_counter())
        self._steps += 1
        if "seconds/checkpoint" in values:  # the mean since it was last reported
            self.waited, self._steps = self.waited + values["seconds/checkpoint"] * self._steps, 0
        if len(self.times) == self._all:
            raise Enough


def stall(plan: Plan) -> list[float]:
    """Seconds that the steps of the larger model waited for a checkpoint, and by how much they were longer in all on its account.

    Of the steps between two checkpoints the first share the machine with the writing, the last have it to themselves. What is
    compared is the median of all checkpoints, each step with those of its place.
    """
    between = plan.between
    marks = Marks((STALLS + 1) * between)
    with contextlib.suppress(Enough):
        ours(Size(plan.stalled, 1, 1), marks.note, checkpoint_steps=between, checkpoint_keep=1)
    lengths = [after - before for before, after in itertools.pairwise(marks.times)][between - 1 :]
    usual = [statistics.median(lengths[index::between]) for index in range(between)]
    return [marks.waited / STALLS, sum(usual) - between * statistics.median(usual[between // 2 :])]


def losses(plan: Plan) -> dict[str, list[float]]:
    """Peak MB beside the inputs, and milliseconds, of both passes from the hidden states of a micro-batch through the head."""
    import torch
    from torch.nn import functional as F

    from components.model.loss import cross_entropy, linear_cross_entropy

    size = plan.size
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
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        loss().backward()
        end.record()
        end.synchronize()
        lengths.append(start.elapsed_time(end))
    return [(torch.cuda.max_memory_allocated() - before) / 1e6, statistics.median(lengths)]


if __name__ == "__main__":
    main()
