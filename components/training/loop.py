"""The one training loop, for pretraining, fine-tuning and preference optimisation.

What differs between them is a `TrainSpec`; its protocols are in `components.training.objective`.
"""

import itertools
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import torch
import torch.distributed as dist
from torch import Tensor, nn

from components.errors import TrainingError
from components.model.denormals import flushed_denormals
from components.ports import TrainingReporter
from components.training.checkpoints.files import Row, read_history, read_manifest, state_files
from components.training.checkpoints.saving import CheckpointPlan, Checkpoints
from components.training.checkpoints.state import SavedState
from components.training.config import IncidentConfig, TrainingSettings
from components.training.device import determinism, keep_freed_memory, resolved_precision, training_device
from components.training.engine import Engine, process_group
from components.training.meters import Goodput, Meter
from components.training.objective import Batch, Batches, Objective, OnIncident, Terms, Validation
from components.training.parallel.placement import Coordinates, Weights, set_weights
from components.training.schedule import learning_rate
from components.training.spikes import WINDOW, is_spike

logger = logging.getLogger(__name__)

__all__ = ["Batch", "Batches", "Objective", "Terms", "TrainSpec", "Trained", "Validation", "train"]


@dataclass(frozen=True)
class Trained:
    """The result of a training, beside the weights in the model itself."""

    history: tuple[Row, ...]
    """One row per step, from 1: step, loss, learning_rate, gradient_norm (before clipping), tokens (cumulative, of all
    ranks), the objective's figures, and validation figures where they were measured. A skipped step has no gradient_norm.
    No wall-clock figures: equal for equal inputs. Steps before a resume are included; the same on all ranks."""
    resumed_from: int
    """The step of the checkpoint from which this call resumed; 0 if it started afresh."""
    measured: Mapping[str, float] = field(default_factory=dict, compare=False)
    """What this worker's clock and machine said of the steps of this call: `components.training.meters.Meter.summary`."""


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """What is trained: a model, its loss and its data, and what is measured on the way."""

    model: nn.Module
    """fp32 weights, equal on all ranks; or on the meta device, where `weights` makes them."""
    objective: Objective
    """The loss."""
    batches: Batches
    """The data of each step; the workers of one replica see the same share of it."""
    weights: Weights | None = None
    """Makes a whole weight from its name: where a layout shards the model, no worker ever holds all of it. None: the model has
    its weights."""
    validation: Validation | None = None
    """Measured every `TrainingConfig.validation_steps` and after the last step."""
    flops_per_token: Mapping[str, float] = field(default_factory=dict)
    """FLOPs of forward and backward for one token, by the name of the utilisation to report."""
    on_incident: OnIncident | None = None
    """Called for losses and gradients that are not finite, and for spikes of the loss."""


def train(spec: TrainSpec, settings: TrainingSettings, checkpoints: CheckpointPlan, reporter: TrainingReporter) -> Trained:
    """Train `spec.model` in place; afterwards rank 0 has the fp32 weights in it, on the CPU, and the others have empty ones.

    Resumes from the newest whole checkpoint: bitwise as if never interrupted at the same world size, with bitwise the same state
    at another one. Steps do not wait for checkpoints; one that cannot be written is given up. Trainings can follow one another
    in one process. With several workers the process group exists already; for a single one a group is made and taken down.

    Args:
        spec: what is trained.
        settings: how to train, steps, and the learning rate.
        checkpoints: where they are kept, and where training starts and stops.
        reporter: this worker's rank, and the receiver of figures: those of `Trained.history`, and those of
            `components.training.meters.Meter`; after a resume the rows so far again, resumed_from, workers and
            damaged_checkpoints, and failed_checkpoints and failed_uploads where some could not be written or copied.

    Raises:
        CheckpointError: no checkpoint but those of another identity, a trunk that is damaged or has other first steps, or a
            directory that cannot be written.
        ConfigError: `compile` without a C++ compiler, or a layout that does not divide the workers or the model.
        SupersededAttempt: a later attempt at this training has started.
        TrainingError: a loss or gradient that is not finite, or a global batch without a single term.
    """
    config, device = settings.config, training_device(reporter.rank)
    precision = resolved_precision(config.precision, device)
    if device.type == "cpu":
        keep_freed_memory()
    with (
        flushed_denormals(),
        process_group(device, reporter.world_size),
        determinism(config.deterministic),
        closing(Coordinates.of(config.layout, reporter.rank, reporter.world_size)) as coordinates,
        closing(Engine(spec.model, spec.objective, config, precision, coordinates, device, spec.weights)) as engine,
        closing(_opened(checkpoints, precision, settings, reporter, engine.sizes)) as store,
    ):
        run = _Run(
            spec=spec,
            settings=settings,
            until=checkpoints.until or settings.steps,
            coordinates=coordinates,
            reporter=reporter,
            store=store,
            engine=engine,
            device=device,
            meter=Meter.of(device, precision, spec.flops_per_token, reporter.world_size),
        )
        resumed_from = run.resume()
        store.reserve(engine.state())
        for step in range(resumed_from, run.until):
            run.advance(step)
        store.finish()
        weights = engine.weights()
    _put_back(spec.model, weights)
    return Trained(tuple(run.history), resumed_from, run.meter.summary())


def _opened(
    plan: CheckpointPlan, precision: str, settings: TrainingSettings, reporter: TrainingReporter, sizes: Mapping[str, int]
) -> Checkpoints:
    """The checkpoints of a training on this worker. What "auto" resolves to is part of their identity."""
    return Checkpoints(
        replace(plan, identity={**plan.identity, "precision": precision}),
        rank=reporter.rank,
        world_size=reporter.world_size,
        keep=settings.config.checkpoints.keep,
        permanent=settings.permanent_steps,
        sizes=sizes,
    )


def _put_back(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a model its trained weights; on the workers that have none, empty ones."""
    set_weights(model, {name: weights.get(name, torch.empty(0)) for name, _ in model.named_parameters()})
    model.float().cpu()


@dataclass(kw_only=True)
class _Run:
    """The state of one training on one worker."""

    spec: TrainSpec
    settings: TrainingSettings
    until: int
    """The last step."""
    coordinates: Coordinates
    reporter: TrainingReporter
    store: Checkpoints
    engine: Engine
    device: torch.device
    meter: Meter
    history: list[Row] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """The history as checkpoints keep it: made once for each row, not again for each checkpoint."""
    saved_at: float = field(default_factory=time.monotonic)

    @property
    def incidents(self) -> IncidentConfig:
        """What happens where something goes wrong."""
        return self.settings.config.incidents

    def resume(self) -> int:
        """Load the newest checkpoint, if any; the steps that are done."""
        newest = self.store.newest()
        self.meter.goodput.started = self.store.started
        if newest.directory is not None:
            self.engine.load(SavedState(state_files(newest.directory)), self.store.rank)
            self.history = read_history(newest.directory)
            self.lines = [json.dumps(row) for row in self.history]
            self.meter.goodput = Goodput(**read_manifest(newest.directory).get("goodput", {}))
        for row in self.history:  # a new receiver needs the curve so far, a former one may have missed the last rows
            self.reporter.report(int(row["step"]), self.settings.steps, row)
        facts = {"resumed_from": newest.step, "damaged_checkpoints": len(newest.damaged)}
        if any(facts.values()):
            facts |= {"workers": self.reporter.world_size}
            self.reporter.report(newest.step, self.settings.steps, {name: float(n) for name, n in facts.items() if n})
        return newest.step

    def advance(self, step: int) -> None:
        """Do `step` (from 0): the optimizer's step, and what is due after it."""
        done, phase = step + 1, self.meter.stopwatch.phase
        before = self.history[-1]["tokens"] if self.history else 0
        started = time.monotonic()
        row, checkpoint_is_late = self._step(step, before)

        if self.spec.validation is not None and self._is_due(done, self.settings.config.validation_steps):
            with phase("validation"):
                row |= self._validated(self.spec.validation)
        self.history.append(row)
        self.lines.append(json.dumps(row))

        if checkpoint_is_late or self._ends_with_checkpoint(done):
            with phase("checkpoint"):
                self.store.save(done, self.lines, self.engine.state(), goodput=self.meter.goodput.as_json())
            self.saved_at = time.monotonic()

        speed = self.meter.figures(row["tokens"] - before, time.monotonic() - started, self.settings.steps - done)
        self.reporter.report(done, self.settings.steps, row | speed | self.store.figures())

    def _step(self, step: int, tokens_before: float) -> tuple[dict[str, float], bool]:
        """One optimizer step: its row, and whether a checkpoint is due by time, on which all ranks agree."""
        phase = self.meter.stopwatch.phase
        with phase("data"):
            micro_batches = self.coordinates.micro_batches(self.spec.batches, step)
        (weight,) = self._sum([sum(self.spec.objective.weight(batch) for batch in micro_batches)])
        if weight <= 0:
            raise TrainingError(f"step {step + 1}: the batch has nothing to learn from: every token is masked or it is empty")
        loss, figures = self._accumulate(micro_batches, weight)
        rate = learning_rate(step, self.settings)
        with phase("checkpoint"):
            self.store.before_update()
        with phase("step"):
            norm = self.engine.step(rate)

        # What the row says is of all ranks
        tokens = sum(batch["tokens"].numel() for batch in micro_batches)
        names = sorted(figures)
        counted = [loss, tokens, *(figures[name] for name in names)]
        loss_sum, token_sum, *figure_sums, late = self._sum(counted, [self._is_late()])
        row = {"step": step + 1, "loss": loss_sum / weight, "learning_rate": rate, "tokens": int(tokens_before + token_sum)}
        row |= {name: value / weight for name, value in zip(names, figure_sums, strict=True) if not math.isnan(value)}
        return self._judged(row, norm), late > 0

    def _accumulate(self, micro_batches: Sequence[Batch], weight: float) -> tuple[float, dict[str, float]]:
        """Gradients of this rank's micro-batches; sums of the loss and the figures."""
        sums: dict[str, Tensor] = {}
        phase = self.meter.stopwatch.phase
        scale = self.coordinates.averaged / weight
        if self.engine.pipeline is not None:
            return self.engine.accumulate(micro_batches, scale, phase)
        for number, batch in enumerate(micro_batches, start=1):
            last = number == len(micro_batches)
            with phase("forward"):
                moved = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
                scaled, loss, figures = self.engine.forward(moved, scale, last=last)
            for name, value in {"": loss, **figures}.items():
                sums[name] = sums[name] + value if name in sums else value
            skip = last and self.incidents.on_spike == "skip" and self._is_spike(self._sum([float(sums[""])])[0] / weight)
            with phase("backward"):
                self.engine.backward(scaled, skip_update=skip)
        totals = {name: float(value) for name, value in sums.items()}
        return totals.pop(""), totals

    def _is_spike(self, loss: float) -> bool:
        previous = [row["loss"] for row in self.history[-2 * WINDOW :] if "gradient_norm" in row]
        return is_spike(previous, loss, self.incidents.spike_deviations)

    def _judged(self, row: dict[str, float], norm: float | None) -> dict[str, float]:
        """The row with the norm. Where loss or gradient are not finite, or the loss is a spike, the policy decides.

        Raises:
            TrainingError: the policy is to stop, or too many steps in a row were skipped.
        """
        spike = self._is_spike(row["loss"])
        update_skipped = spike and self.incidents.on_spike == "skip"  # then there is no norm either
        broken = not math.isfinite(row["loss"]) or (norm is None and not update_skipped)
        if norm is not None and not spike and not broken:
            return row | {"gradient_norm": norm}

        gradient = "not finite" if norm is None else "finite"
        what = f"loss {row['loss']:.4g}, " + (f"gradient {gradient}" if broken else "a spike")
        logger.warning("step %d: %s", row["step"], what)
        if self.spec.on_incident is not None and self.store.rank == 0:
            self.spec.on_incident(int(row["step"]), what)

        policy = self.incidents.non_finite if broken else self.incidents.on_spike
        if policy == "report" and norm is not None:
            return row | {"gradient_norm": norm}
        skipped = 1 + sum(1 for _ in itertools.takewhile(lambda earlier: "gradient_norm" not in earlier, reversed(self.history)))
        if policy == "stop" or skipped > self.incidents.max_skipped:
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
        return planned or self._is_due(done, self.settings.config.checkpoints.steps)

    def _is_due(self, done: int, interval: int | None) -> bool:
        return done == self.settings.steps or (interval is not None and done % interval == 0)

    def _is_late(self) -> bool:
        """Whether this is rank 0, has not saved for long enough, and would not have to wait for the former checkpoint."""
        seconds = self.settings.config.checkpoints.seconds
        if self.store.rank != 0 or seconds is None or self.store.is_busy:
            return False
        return time.monotonic() - self.saved_at >= seconds

    def _sum(self, counted: Sequence[float], everywhere: Sequence[float] = ()) -> list[float]:
        """Sums over the ranks, in fp64. `counted` is of a rank's tokens: of ranks that see the same ones, only one adds it."""
        values = [*(counted if self.coordinates.is_counted else [0.0] * len(counted)), *everywhere]
        if self.store.world_size == 1:
            return [float(value) for value in values]
        tensor = torch.tensor([float(value) for value in values], dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        sums: list[float] = tensor.tolist()
        return sums
