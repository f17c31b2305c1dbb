"""What the benchmark of training compares: our loop, the loop that one would write, and Hugging Face's Trainer as it ships.

All train on the same rows, in bf16 where the machine multiplies it natively, else in fp32, for as long as they are let.
"""

import itertools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from components.artifacts import ModelShape


class Enough(Exception):
    """All steps that are measured are done; the checkpoint at a training's end is not measured."""


AfterStep = Callable[[Mapping[str, float]], None]
"""What a contender calls when a step is done, ours with its figures; raises `Enough` to end it."""

STEPS = 100_000
"""More than are let be done."""

DIFFERENT = 64
"""Steps of different rows; then they come again."""


@dataclass(frozen=True)
class Size:
    """What is trained."""

    shape: ModelShape
    sequences: int
    """In a micro-batch."""
    micro_batches: int

    @property
    def tokens(self) -> int:
        """Of a step."""
        return self.sequences * self.micro_batches * self.shape.context


@dataclass(frozen=True)
class ForwardingReporter:
    """Passes a training's reports on."""

    after_step: AfterStep
    rank: int = 0
    world_size: int = 1

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """A step has ended."""
        self.after_step(values)

    def checkpoint_wanted(self) -> bool:
        """Never."""
        return False


def chosen_precision() -> str:
    """What this machine multiplies natively."""
    from components.training.device import resolved_precision, training_device

    return resolved_precision("auto", training_device())


def on_gpu() -> bool:
    """Whether the trainings run on one."""
    from components.training.device import training_device

    return training_device().type == "cuda"


def rows_of(step: int, size: Size) -> Any:
    """Random ids of one global batch: [sequences of all micro-batches, context + 1]."""
    import torch

    generator = torch.Generator().manual_seed(step % DIFFERENT)
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


def ours(size: Size, after_step: AfterStep, **changes: Any) -> None:
    """The training loop; `changes` to its config."""
    from components.pretraining.packed import NextToken
    from components.training.checkpoints.saving import CheckpointPlan
    from components.training.config import TrainingSettings
    from components.training.loop import TrainSpec, train
    from tests.training_configs import training_config

    config = training_config(**{"precision": "auto", "checkpoint_seconds": None} | changes)
    settings = TrainingSettings(config=config, steps=STEPS, learning_rate=1e-3, warmup_steps=2)
    with tempfile.TemporaryDirectory() as directory:
        spec = TrainSpec(model=model_of(size.shape), objective=NextToken(), batches=Batches(size))
        plan = CheckpointPlan(root=Path(directory) / "checkpoints", identity={})
        train(spec, settings, plan, ForwardingReporter(after_step))


def plain(size: Size, after_step: AfterStep, *, compile: bool = False) -> None:
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
    if compile:
        model.compile()
    optimizer = torch.optim.AdamW(masters, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    for master in masters:
        master.grad = torch.zeros_like(master)
    for step in itertools.count():
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
        after_step({})


def trainer(size: Size, after_step: AfterStep) -> None:
    """Hugging Face's Trainer as it ships, with its LLaMA."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    from components.model.configuration import huggingface_config
    from components.training.device import training_device

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Tells when a step ended."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            after_step({})

    rows = torch.cat([rows_of(step, size)[:, :-1] for step in range(DIFFERENT)])
    data = [{"input_ids": row, "labels": row} for row in rows]
    with tempfile.TemporaryDirectory() as directory:
        arguments = TrainingArguments(
            output_dir=directory,
            per_device_train_batch_size=size.sequences,
            gradient_accumulation_steps=size.micro_batches,
            max_steps=STEPS,
            learning_rate=1e-3,
            bf16=chosen_precision() == "bf16",
            use_cpu=not on_gpu(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        with training_device():
            model = LlamaForCausalLM(LlamaConfig(**huggingface_config(size.shape, "float32")))
        Trainer(model=model, args=arguments, train_dataset=data, callbacks=[Clock()]).train()


CONTENDERS: dict[str, Callable[[Size, AfterStep], None]] = {
    "ours": ours,
    "plain": plain,
    "trainer": trainer,
    "ours-compiled": partial(ours, compile=True),
    "plain-compiled": partial(plain, compile=True),
}
