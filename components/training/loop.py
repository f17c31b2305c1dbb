"""The training loop for pretraining, supervised fine-tuning and preference optimisation.

They differ in their `TrainSpec`, whose protocols are in `components.training.objective`.
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
from components.ports import SAVED, TrainingReporter
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
from components.training.spikes import NOT_FINITE, SPIKE, WINDOW, is_spike

logger = logging.getLogger(__name__)

__all__ = ["Batch", "Batches", "Objective", "Terms", "TrainSpec", "Trained", "Validation", "train"]


@dataclass(frozen=True)
class Trained:
    """The result of a training run; the trained weights are in the model."""

    history: tuple[Row, ...]
    """One row per step, from 1, including steps before a resume: step, loss, learning_rate, gradient_norm (before clipping),
    tokens (cumulative, over all ranks), the objective's figures, and validation figures in the steps where they were measured.
    A skipped step has no gradient_norm. Steps with an incident have spike or not_finite, which is 1.
    Contains no times, so it is equal for equal inputs, and the same on all ranks."""
    resumed_from: int
    """The step of the checkpoint from which this call resumed; 0 if it started from the beginning."""
    measured: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Speed, goodput and memory on this worker during this call: `components.training.meters.Meter.summary`."""


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """What is trained: a model, its loss and data, and the measurements during training."""

    model: nn.Module
    """The model, with fp32 weights that are equal on all ranks; or on the meta device, if `weights` is given."""
    objective: Objective
    """The loss."""
    batches: Batches
    """The data of each step; the workers of one replica get the same data."""
    weights: Weights | None = None
    """Returns a whole weight by name, so that no worker has to hold all weights of a sharded model; None: the model has
    weights."""
    validation: Validation | None = None
    """Called every `TrainingConfig.validation_steps` steps and after the last step; None: nothing is measured."""
    flops_per_token: Mapping[str, float] = field(default_factory=dict)
    """FLOPs per token of the forward and backward pass, by the name under which the utilisation is reported."""
    on_incident: OnIncident | None = None
    """Called for non-finite losses and gradients, and for loss spikes."""


def train(spec: TrainSpec, settings: TrainingSettings, checkpoints: CheckpointPlan, reporter: TrainingReporter) -> Trained:
    """Train `spec.model` in place. Afterwards it has the fp32 weights on the CPU on rank 0, and empty weights on other ranks.

    Resumes from the newest usable checkpoint. With the same number of workers the result is bitwise identical to that without
    interruption; with another number, the loaded state is bitwise identical. Steps do not wait for checkpoints; if a
    checkpoint cannot be written, training continues. A process may run several training runs one after the other. With
    several workers, the process group must exist; for a single worker, it is created and destroyed here.

    Args:
        spec: what is trained.
        settings: how to train, number of steps, and learning rate.
        checkpoints: where checkpoints are kept, and where training starts and stops.
        reporter: gives this worker's rank and receives the rows of `Trained.history` and the figures of
            `components.training.meters.Meter`. After a resume it receives the earlier rows again, and resumed_from, workers and
            damaged_checkpoints. It also receives failed_checkpoints and failed_uploads if there are any.

    Raises:
        CheckpointError: no checkpoint of this training is usable, the trunk is damaged or has other first steps, or the directory
            cannot be written.
        ConfigError: `compile` is set but there is no C++ compiler, or the layout does not divide the workers or the model.
        SupersededAttempt: a later attempt at this training has started.
        TrainingError: a loss or gradient is not finite, or a batch has no loss terms.
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
    """The checkpoints of a training run on this worker. Their identity includes the precision that "auto" resolves to."""
    return Checkpoints(
        replace(plan, identity={**plan.identity, "precision": precision}),
        rank=reporter.rank,
        world_size=reporter.world_size,
        keep=settings.config.checkpoints.keep,
        permanent=settings.permanent_steps,
        sizes=sizes,
    )


def _put_back(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put the trained weights into a model; on workers without them, empty ones."""
    set_weights(model, {name: weights.get(name, torch.empty(0)) for name, _ in model.named_parameters()})
    model.float().cpu()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Due:
    """Why a checkpoint is due after a step, besides the plan; the same on all ranks."""

    by_time: bool
    """`CheckpointsConfig.seconds` have passed since the last one."""
    on_request: bool
    """The training, or one of its machines, is about to be stopped."""


@dataclass(kw_only=True)
class _Run:
    """The state of one training run on one worker."""

    spec: TrainSpec
    settings: TrainingSettings
    until: int
    """Number of the last step to do."""
    coordinates: Coordinates
    reporter: TrainingReporter
    store: Checkpoints
    engine: Engine
    device: torch.device
    meter: Meter
    history: list[Row] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """The rows of the history as JSON, as checkpoints store them; each row is converted once."""
    saved_at: float = field(default_factory=time.monotonic)

    @property
    def incidents(self) -> IncidentConfig:
        """How to react to non-finite losses and gradients, and to loss spikes."""
        return self.settings.config.incidents

    def resume(self) -> int:
        """Load the newest checkpoint, if there is one. Returns the number of steps already done."""
        newest = self.store.newest()
        self.meter.goodput.started = self.store.started
        if newest.directory is not None:
            self.engine.load(SavedState(state_files(newest.directory)), self.store.rank)
            self.history = read_history(newest.directory)
            self.lines = [json.dumps(row) for row in self.history]
            self.meter.goodput = Goodput(**read_manifest(newest.directory).get("goodput", {}))
        for row in self.history:  # a new receiver needs all rows so far; an old one may have missed the last ones
            self.reporter.report(int(row["step"]), self.settings.steps, row)
        facts = {"resumed_from": newest.step, "damaged_checkpoints": len(newest.damaged)}
        if any(facts.values()):
            facts |= {"workers": self.reporter.world_size}
            self.reporter.report(newest.step, self.settings.steps, {name: float(n) for name, n in facts.items() if n})
        return newest.step

    def advance(self, step: int) -> None:
        """Do `step` (from 0): one optimizer step, then validation, checkpoint and report if they are due."""
        done, phase = step + 1, self.meter.stopwatch.phase
        before = self.history[-1]["tokens"] if self.history else 0
        started = time.monotonic()
        row, due = self._step(step, before)

        if self.spec.validation is not None and self._is_due(done, self.settings.config.validation_steps):
            with phase("validation"):
                row |= self._validated(self.spec.validation)
        self.history.append(row)
        self.lines.append(json.dumps(row))

        if due.by_time or due.on_request or self._ends_with_checkpoint(done):
            with phase("checkpoint"):
                self.store.save(done, self.lines, self.engine.state(), goodput=self.meter.goodput.as_json())
                if due.on_request:
                    self.store.finish()
            self.saved_at = time.monotonic()

        speed = self.meter.figures(row["tokens"] - before, time.monotonic() - started, self.settings.steps - done)
        saved = {SAVED: float(done)} if due.on_request else {}
        self.reporter.report(done, self.settings.steps, row | speed | self.store.figures() | saved)

    def _step(self, step: int, tokens_before: float) -> tuple[dict[str, float], _Due]:
        """One optimizer step. Returns its row, and why a checkpoint is due after it."""
        phase = self.meter.stopwatch.phase
        with phase("data"):
            micro_batches = self.coordinates.micro_batches(self.spec.batches, step)
        (weight,) = self._sum([sum(self.spec.objective.weight(batch) for batch in micro_batches)])
        if weight <= 0:
            raise TrainingError(f"step {step + 1}: the batch has no loss terms: it is empty, or all of its tokens are masked")
        loss, figures = self._accumulate(micro_batches, weight)
        rate = learning_rate(step, self.settings)
        with phase("checkpoint"):
            self.store.before_update()
        with phase("step"):
            norm = self.engine.step(rate)

        # Sum over all ranks
        tokens = sum(batch["tokens"].numel() for batch in micro_batches)
        names = sorted(figures)
        counted = [loss, tokens, *(figures[name] for name in names)]
        loss_sum, token_sum, *figure_sums, late, wanted = self._sum(counted, [self._is_late(), self.reporter.checkpoint_wanted()])
        row = {"step": step + 1, "loss": loss_sum / weight, "learning_rate": rate, "tokens": int(tokens_before + token_sum)}
        row |= {name: value / weight for name, value in zip(names, figure_sums, strict=True) if not math.isnan(value)}
        return self._judged(row, norm), _Due(by_time=late > 0, on_request=wanted > 0)

    def _accumulate(self, micro_batches: Sequence[Batch], weight: float) -> tuple[float, dict[str, float]]:
        """Accumulate the gradients of this rank's micro-batches. Returns the sums of the loss and of the figures."""
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
        """The row with the gradient norm, after handling non-finite values and spikes as configured in `incidents`.

        Raises:
            TrainingError: training must stop, or too many consecutive steps were skipped.
        """
        spike = self._is_spike(row["loss"])
        update_skipped = spike and self.incidents.on_spike == "skip"  # in this case norm is None as well
        broken = not math.isfinite(row["loss"]) or (norm is None and not update_skipped)
        if norm is not None and not spike and not broken:
            return row | {"gradient_norm": norm}

        gradient = "not finite" if norm is None else "finite"
        what = f"loss {row['loss']:.4g}, " + (f"gradient {gradient}" if broken else "a spike")
        logger.warning("step %d: %s", row["step"], what)
        row |= {NOT_FINITE if broken else SPIKE: 1.0}
        if self.spec.on_incident is not None and self.store.rank == 0:
            self.spec.on_incident(int(row["step"]), what)

        policy = self.incidents.non_finite if broken else self.incidents.on_spike
        if policy == "report" and norm is not None:
            return row | {"gradient_norm": norm}
        skipped = 1 + sum(1 for _ in itertools.takewhile(lambda earlier: "gradient_norm" not in earlier, reversed(self.history)))
        if policy == "stop" or skipped > self.incidents.max_skipped:
            raise TrainingError(f"step {row['step']}: {what}; lower the learning rate or inspect the data of this step")
        return {name: value for name, value in row.items() if math.isfinite(value)}

    def _validated(self, validation: Validation) -> Mapping[str, float]:
        """Run the validation on rank 0; returns its figures on every rank."""
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
        """On rank 0: whether a checkpoint is due by time and the previous one is finished. False on other ranks."""
        seconds = self.settings.config.checkpoints.seconds
        if self.store.rank != 0 or seconds is None or self.store.is_busy:
            return False
        return time.monotonic() - self.saved_at >= seconds

    def _sum(self, counted: Sequence[float], everywhere: Sequence[float] = ()) -> list[float]:
        """Sum values over the ranks, in fp64; returns the sums of `counted`, then those of `everywhere`.

        `counted` has values that depend on the rank's tokens: of ranks with the same tokens, only one contributes.
        """
        values = [*(counted if self.coordinates.is_counted else [0.0] * len(counted)), *everywhere]
        if self.store.world_size == 1:
            return [float(value) for value in values]
        tensor = torch.tensor([float(value) for value in values], dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        sums: list[float] = tensor.tolist()
        return sums
