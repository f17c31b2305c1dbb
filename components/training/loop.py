"""The one training loop, for pretraining, fine-tuning and preference optimisation.

What differs between them is passed in: see `components.training.objective`.
"""

import itertools
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from components.errors import TrainingError
from components.model.denormals import flushed_denormals
from components.ports import RemoteScratch, TrainingReporter
from components.training.checkpoints.files import Row, read_history, read_manifest, state_files
from components.training.checkpoints.saving import Checkpoints
from components.training.checkpoints.state import SavedState
from components.training.config import TrainingSettings
from components.training.device import determinism, keep_freed_memory, resolved_precision, training_device
from components.training.engine import Engine, process_group
from components.training.meters import Goodput, Meter
from components.training.objective import Batch, Batches, Objective, OnIncident, Terms, Validation
from components.training.parallel.placement import Place, Weights, put
from components.training.schedule import learning_rate
from components.training.spikes import WINDOW, is_spike

logger = logging.getLogger(__name__)

__all__ = ["Batch", "Batches", "Objective", "Terms", "Trained", "Validation", "train"]


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind, beside the weights in the model itself."""

    history: tuple[Row, ...]
    """One row per step, from 1: step, loss, learning_rate, gradient_norm (before clipping), tokens (cumulative, of all
    ranks), the objective's figures, and validation figures where they were measured. A skipped step has no gradient_norm.
    No wall-clock figures: equal for equal inputs. Steps before a resume are included; the same on all ranks."""
    resumed_from: int
    """The step of the checkpoint from which this call went on; 0 if it began afresh."""


def train(
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    settings: TrainingSettings,
    *,
    reporter: TrainingReporter,
    checkpoints: Path,
    identity: Mapping[str, Any],
    weights: Weights | None = None,
    validation: Validation | None = None,
    flops_per_token: Mapping[str, float] | None = None,
    trunk: Path | None = None,
    uploads: RemoteScratch | None = None,
    until: int | None = None,
    on_incident: OnIncident | None = None,
) -> Trained:
    """Train `model` in place; afterwards its parameters are the fp32 weights, on the CPU, on rank 0, and empty on the others.

    Goes on from the newest whole checkpoint below `checkpoints`: bitwise as if never interrupted at the same world size, with
    bitwise the same state at another one. Steps do not wait for checkpoints; one that cannot be written is done without.
    Trainings can follow one another in one process. With several workers the process group exists already; with one, a group
    of one process is made and taken down.

    Args:
        model: fp32 weights, equal on all ranks; or on the meta device, where `weights` makes them.
        objective: the loss.
        batches: the data of each step; the workers of one replica see the same part of it.
        settings: steps, learning rate, precision, checkpoints.
        reporter: this worker's place, and the receiver of figures: those of `Trained.history`, and those of
            `components.training.meters.Meter`; after a resume the rows so far again, resumed_from, workers and
            damaged_checkpoints, and failed_checkpoints and failed_uploads where some could not be written or copied.
        checkpoints: an absolute directory that survives the process and that all ranks see; need not exist.
        identity: JSON that says what is trained (shape, config, digests of data); a checkpoint of another identity is refused.
        weights: makes a whole weight from its name: where a layout parts the model, no worker ever has all of them. None: the
            model has them.
        validation: measured every `settings.validation_steps` and after the last step.
        flops_per_token: FLOPs of forward and backward for one token, by the name of the utilisation to report; None: none is.
        trunk: an absolute directory with a checkpoint of a training of another length that began in the same way; where this one
            begins. None: at its first step.
        uploads: where checkpoints are copied to in the background, and found again on another machine; None: nowhere.
        until: stop after this step with a checkpoint, from which this training or another can go on; None: all steps.
        on_incident: told of losses and gradients that are not finite, and of spikes of the loss.

    Raises:
        CheckpointError: no checkpoint but those of another identity, a trunk that is damaged or began otherwise, or a directory
            that cannot be written.
        ConfigError: `settings.compile` without a C++ compiler, or a layout that workers or model do not divide by.
        SupersededAttempt: a later attempt at this training has begun.
        TrainingError: a loss or gradient that is not finite, or a global batch without a single term.
    """
    device = training_device(reporter.rank)
    precision = resolved_precision(settings.precision, device)
    if device.type == "cpu":
        keep_freed_memory()
    with flushed_denormals(), process_group(device, reporter.world_size), determinism(settings.deterministic):
        place = Place.of(settings.layout, reporter.rank, reporter.world_size)
        engine = Engine(model, objective, settings, precision, place, device, weights)
        store = None
        try:
            store = _checkpoints(
                checkpoints, {**identity, "precision": precision}, engine.sizes, settings, reporter, trunk, uploads
            )
            meter = Meter.of(device, precision, flops_per_token, reporter.world_size)
            run = _Run(
                place, objective, batches, settings, reporter, store, validation, engine, device, meter, until, on_incident
            )
            resumed_from = run.resume()
            store.reserve(engine.state())
            for step in range(resumed_from, until or settings.steps):
                run.advance(step)
            store.finish()
            trained = engine.weights()
        finally:
            if store is not None:
                store.close()
            engine.close()
            place.close()
    _put_back(model, trained)
    return Trained(tuple(run.history), resumed_from)


def _checkpoints(
    root: Path,
    identity: Mapping[str, Any],
    sizes: Mapping[str, int],
    settings: TrainingSettings,
    reporter: TrainingReporter,
    trunk: Path | None,
    uploads: RemoteScratch | None,
) -> Checkpoints:
    return Checkpoints(
        root,
        identity,
        rank=reporter.rank,
        world_size=reporter.world_size,
        keep=settings.keep_checkpoints,
        permanent=settings.permanent_steps,
        trunk=trunk,
        uploads=uploads,
        sizes=sizes,
    )


def _put_back(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    put(model, {name: weights.get(name, torch.empty(0)) for name, _ in model.named_parameters()})
    model.float().cpu()


@dataclass
class _Run:
    """The state of one training on one worker."""

    place: Place
    objective: Objective
    batches: Batches
    settings: TrainingSettings
    reporter: TrainingReporter
    store: Checkpoints
    validation: Validation | None
    engine: Engine
    device: torch.device
    meter: Meter
    until: int | None
    on_incident: OnIncident | None
    history: list[Row] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """The history as checkpoints keep it: made once for each row, not again for each checkpoint."""
    saved_at: float = field(default_factory=time.monotonic)

    def resume(self) -> int:
        """Load the newest checkpoint, if any; the steps that are done."""
        found = self.store.newest()
        self.meter.goodput.started = self.store.began
        if found.directory is not None:
            self.engine.load(SavedState(state_files(found.directory)), self.store.rank)
            self.history = read_history(found.directory)
            self.lines = [json.dumps(row) for row in self.history]
            self.meter.goodput = Goodput(**read_manifest(found.directory).get("goodput", {}))
        for row in self.history:  # a new receiver gets the curve so far, a former one what was on its way
            self.reporter.report(int(row["step"]), self.settings.steps, row)
        facts = {"resumed_from": found.step, "damaged_checkpoints": len(found.damaged)}
        if any(facts.values()):
            facts |= {"workers": self.reporter.world_size}
            self.reporter.report(found.step, self.settings.steps, {name: float(n) for name, n in facts.items() if n})
        return found.step

    def advance(self, step: int) -> None:
        """Do `step` (from 0): the optimizer's step, and what is due after it."""
        done, part = step + 1, self.meter.stopwatch.part
        before = self.history[-1]["tokens"] if self.history else 0
        started = time.monotonic()
        row, save = self._step(step, before)
        if self.validation is not None and self._is_due(done, self.settings.validation_steps):
            with part("validation"):
                row |= self._validated(self.validation)
        self.history.append(row)
        self.lines.append(json.dumps(row))
        if save or self._ends_with_checkpoint(done):
            with part("checkpoint"):
                self.store.save(done, self.lines, self.engine.state(), goodput=self.meter.goodput.as_json())
            self.saved_at = time.monotonic()
        speed = self.meter.figures(row["tokens"] - before, time.monotonic() - started, self.settings.steps - done)
        self.reporter.report(done, self.settings.steps, row | speed | self.store.figures())

    def _step(self, step: int, tokens_before: float) -> tuple[dict[str, float], bool]:
        """One optimizer step: its row, and whether a checkpoint is due by time, on which all ranks agree."""
        part = self.meter.stopwatch.part
        with part("data"):
            micro_batches = self.place.micro_batches(self.batches, step)
        (weight,) = self._sum([sum(self.objective.weight(batch) for batch in micro_batches)])
        if weight <= 0:
            raise TrainingError(f"step {step + 1}: the batch has nothing to learn from: every token is masked or it is empty")
        loss, figures = self._accumulate(micro_batches, weight)
        rate = learning_rate(step, self.settings)
        with part("checkpoint"):
            self.store.before_update()
        with part("step"):
            norm = self.engine.step(rate)
        tokens = sum(batch["tokens"].numel() for batch in micro_batches)
        names = sorted(figures)
        total, read, *sums, save = self._sum([loss, tokens, *(figures[name] for name in names)], [self._is_late()])
        row = {"step": step + 1, "loss": total / weight, "learning_rate": rate, "tokens": int(tokens_before + read)}
        row |= {name: value / weight for name, value in zip(names, sums, strict=True) if not math.isnan(value)}
        return self._judged(row, norm), save > 0

    def _accumulate(self, micro_batches: Sequence[Batch], weight: float) -> tuple[float, dict[str, float]]:
        """Gradients of this rank's micro-batches; sums of the loss and the figures."""
        sums: dict[str, Tensor] = {}
        part = self.meter.stopwatch.part
        if self.engine.pipeline is not None:
            return self.engine.accumulate(micro_batches, self.place.averaged / weight, part)
        for number, batch in enumerate(micro_batches, start=1):
            last = number == len(micro_batches)
            with part("forward"):
                moved = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
                scaled, loss, figures = self.engine.forward(moved, self.place.averaged / weight, last=last)
            for name, value in {"": loss, **figures}.items():
                sums[name] = sums[name] + value if name in sums else value
            if last and self.settings.on_spike == "skip" and self._is_spike(self._sum([float(sums[""])])[0] / weight):
                scaled = scaled * math.nan  # a gradient that is not finite is what the engine leaves out, on all workers alike
            with part("backward"):
                self.engine.backward(scaled)
        totals = {name: float(value) for name, value in sums.items()}
        return totals.pop(""), totals

    def _is_spike(self, loss: float) -> bool:
        learned = [row["loss"] for row in self.history[-2 * WINDOW :] if "gradient_norm" in row]
        return is_spike(learned, loss, self.settings.spike_deviations)

    def _judged(self, row: dict[str, float], norm: float | None) -> dict[str, float]:
        """The row with the norm. Where loss or gradient are not finite, or the loss is a spike, what the policy says."""
        spike = self._is_spike(row["loss"])
        left_out = spike and self.settings.on_spike == "skip"  # its gradient was made not finite for that
        broken = not math.isfinite(row["loss"]) or (norm is None and not left_out)
        if norm is not None and not spike and not broken:
            return row | {"gradient_norm": norm}
        gradient = "not finite" if norm is None else "finite"
        what = f"loss {row['loss']:.4g}, " + (f"gradient {gradient}" if broken else "a spike")
        logger.warning("step %d: %s", row["step"], what)
        if self.on_incident is not None and self.store.rank == 0:
            self.on_incident(int(row["step"]), what)
        policy = self.settings.non_finite if broken else self.settings.on_spike
        if policy == "report" and norm is not None:
            return row | {"gradient_norm": norm}
        skipped = 1 + sum(1 for _ in itertools.takewhile(lambda old: "gradient_norm" not in old, reversed(self.history)))
        if policy == "stop" or skipped > self.settings.max_skipped:
            raise TrainingError(f"step {row['step']}: {what}; lower the learning rate or look at the data of this step")
        return {name: value for name, value in row.items() if math.isfinite(value)}

    def _validated(self, validation: Validation) -> Mapping[str, float]:
        """The figures of rank 0, on every rank."""
        box: list[Mapping[str, float]] = [{}]
        model = self.engine.measurable()
        if model is not None:
            model.eval()
            with torch.no_grad():
                box = [dict(validation(model))]
            model.train()
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def _ends_with_checkpoint(self, done: int) -> bool:
        planned = done == self.until or done in self.settings.permanent_steps
        return planned or self._is_due(done, self.settings.checkpoint_steps)

    def _is_due(self, done: int, interval: int | None) -> bool:
        return done == self.settings.steps or (interval is not None and done % interval == 0)

    def _is_late(self) -> bool:
        """Whether this is rank 0, has not saved for long enough, and would not have to wait for the former checkpoint."""
        seconds = self.settings.checkpoint_seconds
        if self.store.rank != 0 or seconds is None or self.store.is_busy:
            return False
        return time.monotonic() - self.saved_at >= seconds

    def _sum(self, counted: Sequence[float], everywhere: Sequence[float] = ()) -> list[float]:
        """Sums over the ranks, in fp64. `counted` is of a rank's tokens: of ranks that see the same ones, one is counted."""
        values = [*(counted if self.place.is_counted else [0.0] * len(counted)), *everywhere]
        if self.store.world_size == 1:
            return [float(value) for value in values]
        tensor = torch.tensor([float(value) for value in values], dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        sums: list[float] = tensor.tolist()
        return sums
