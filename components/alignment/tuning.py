"""The procedure that SFT and DPO share: train a model on items, and measure it on held-out items before and after."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from torch import nn

from components.alignment.batches import Item, ShuffledBatches, input_length
from components.alignment.config import DPOConfig, SFTConfig
from components.alignment.held_out import first_of_each_kind, log_probabilities
from components.artifacts import (
    SPLITS,
    TRAIN,
    VALIDATION,
    Change,
    Changes,
    Figures,
    OmissionCase,
    Omissions,
    OmissionTally,
)
from components.decides import deciding
from components.errors import TrainingError, require
from components.files import JSON
from components.flops import BYTES, parameters, training_memory
from components.model.configuration import read_shape
from components.model.decoder import Decoder
from components.model.huggingface import WEIGHTS, load, save
from components.ports import Launcher, Metrics, RemoteScratch, TrainingReporter
from components.ports.verification import HASHED
from components.tokenizer.text_tokenizer import TextTokenizer
from components.training.checkpoints.saving import CheckpointPlan
from components.training.config import TrainingSettings
from components.training.device import training_device
from components.training.history import write_history
from components.training.incidents import NAME as INCIDENTS
from components.training.incidents import Incidents, SeenSequence, read_incidents, write_incidents
from components.training.loop import Objective, Trained, TrainSpec, train
from components.training.resources import require_memory

Config = TypeVar("Config", SFTConfig, DPOConfig)

Scores = npt.NDArray[np.float64]
"""log π(answer | prompt) of held-out examples, in nats: [items, examples of an item]."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An item with its kind; measures are computed by kind."""

    item: Item
    kind: str
    source: str
    """Name of the file, or of the packages, that it was made from."""
    uri: str
    """The line of the file, or the function, that it was made from."""


@dataclass(frozen=True)
class Spec(Generic[Config]):
    """The input of a training worker. All paths must be accessible to all workers."""

    config: Config
    data: Path
    """Directory of an artifact with `train.jsonl` and `validation.jsonl`."""
    checkpoint: Path
    """Directory of the model to start from."""
    output: Path
    scratch: Path
    """Directory for training checkpoints."""
    uploads: RemoteScratch | None = None
    """Folder of an object store for copies of training checkpoints, used if the config enables uploads."""

    @property
    def absolute(self) -> "Spec[Config]":
        """A copy with absolute paths."""
        paths = {name: getattr(self, name).absolute() for name in ("data", "checkpoint", "output", "scratch")}
        return replace(self, **paths)

    @property
    def memory_bytes(self) -> int:
        """Expected peak memory of one worker in bytes, including the frozen reference model, which only DPO needs."""
        shape, config = read_shape(self.checkpoint), self.config.training
        precision = "bf16" if config.precision == "bf16" else "fp32"
        learning = training_memory(
            shape,
            micro_batch_size=1,
            sequence_length=config.micro_batch_tokens,
            workers=config.workers,
            precision=precision,
            checkpointing=config.activation_checkpointing,
        )
        return sum(learning.values()) + BYTES[precision] * parameters(shape)


@dataclass(frozen=True)
class Method:
    """The differences between SFT and DPO."""

    read: Callable[[Path, str, TextTokenizer], list[Labelled]]
    """Reads the items of one split of the data."""
    objective: Callable[[], Objective]
    """Creates the objective."""
    changes: Callable[[Sequence[Labelled], Scores, Scores], list[Change]]
    """Computes the measures from held-out items and their scores before and after."""
    max_held_out: int
    """Maximum held-out items of each kind."""
    stage: str
    """Name of the stage in recipes."""
    unit: str
    """What the items are called, in the plural."""


@dataclass(frozen=True)
class Tuned:
    """The result of SFT or DPO on a worker; the model is written to `output`."""

    trained: Trained
    changes: tuple[Change, ...]
    """Measures before and after; empty on ranks other than 0."""
    examples: int
    """Number of items trained on."""
    omissions: Omissions
    """The items of both splits that are longer than `max_length` and were left out."""


@dataclass(frozen=True)
class _HeldOut:
    """The held-out items with their scores before training. Implements `components.training.loop.Validation`."""

    items: Sequence[Labelled]
    before: Scores
    method: Method
    micro_batch_tokens: int

    def __call__(self, model: nn.Module) -> Mapping[str, float]:
        """The current measures of the model, as `validation/MEASURE/KIND`."""
        return {f"validation/{change.measure}/{change.kind}": change.after for change in self.changes(model)}

    def changes(self, model: nn.Module) -> list[Change]:
        """The measures before training and those of the model now."""
        return self.method.changes(self.items, self.before, _scores(model, self.items, self.micro_batch_tokens))


def launch(
    work: Callable[[Spec[Config], TrainingReporter], Tuned],
    spec: Spec[Config],
    launcher: Launcher,
    metrics: Metrics,
    headlines: Sequence[str],
) -> Figures:
    """Run `work` on the workers and write the tables. Returns the figures of the step, including the measures in `headlines`."""
    training = spec.config.training
    tuned = launcher.launch(work, spec.absolute, workers=training.workers, min_workers=training.min_workers, metrics=metrics)[0]
    metrics.measured(tuned.trained.measured)
    write_history(tuned.trained.history, spec.output / "metrics" / "training.parquet")
    Changes(rows=tuned.changes).write(spec.output)
    tuned.omissions.write(spec.output)
    write_incidents(read_incidents(spec.scratch / INCIDENTS), spec.output / "metrics" / INCIDENTS)
    return _figures(tuned, headlines)


def tune(spec: Spec[Config], method: Method, reporter: TrainingReporter) -> Tuned:
    """Train the model at `spec.checkpoint`. Rank 0 measures it before and after, in fp32, and writes it to `spec.output`.

    Raises:
        ConfigError: `max_length` exceeds the context, or a batch has fewer items than there are workers.
        ResourceError: the machine of a worker has too little memory.
        TrainingError: in one of the splits, no item fits `max_length`.
    """
    require_memory(spec.memory_bytes, parameters(read_shape(spec.checkpoint)), reporter.rank)
    config, model = spec.config, load(spec.checkpoint)
    tokens = config.training.micro_batch_tokens
    training, held_out, omissions = _items(spec, method)
    batches = ShuffledBatches([labelled.item for labelled in training], config.batch_size, tokens, config.seed)
    batches.require_workers(reporter.world_size)
    measured: _HeldOut | None = None
    if reporter.rank == 0:
        before = _scores(model.to(training_device(reporter.rank)), held_out, tokens)
        measured = _HeldOut(held_out, before, method, tokens)
    validation = measured if config.training.validation_steps else None
    steps = config.epochs * batches.steps_per_epoch
    trained = train(
        TrainSpec(
            model=model,
            objective=method.objective(),
            batches=batches,
            validation=validation,
            on_incident=Incidents(spec.scratch / INCIDENTS, partial(_sequences, training, batches), _report_command),
        ),
        TrainingSettings(
            config=config.training,
            steps=steps,
            learning_rate=config.learning_rate,
            warmup_steps=math.ceil(config.warmup_share * steps),
        ),
        CheckpointPlan(
            root=spec.scratch / "checkpoints",
            identity=_identity(spec),
            uploads=spec.uploads if config.training.checkpoints.upload else None,
        ),
        reporter,
    )
    changes = _finish(model, measured, spec, reporter) if measured else []
    return Tuned(trained, tuple(changes), len(training), omissions)


def _sequences(items: Sequence[Labelled], batches: ShuffledBatches, step: int) -> Iterator[SeenSequence]:
    """The items of the global batch of `step` (from 0)."""
    for index in batches.indices(step):
        yield SeenSequence(items[index].kind, int(index), (items[index].uri,))


def _report_command(step: int) -> str:
    return "longrun report latest"


def _finish(model: Decoder, measured: _HeldOut, spec: Spec[Config], reporter: TrainingReporter) -> list[Change]:
    """Measure the trained model and write it."""
    changes = measured.changes(model.to(training_device(reporter.rank)))
    save(model, spec.checkpoint, spec.output)
    return changes


def _items(spec: Spec[Config], method: Method) -> tuple[list[Labelled], list[Labelled], Omissions]:
    """The training items, the held-out items, and those of both splits that are too long and are left out."""
    context = read_shape(spec.checkpoint).context
    max_length = spec.config.max_length or context
    require(max_length <= context, spec.config, "max_length", max_length, f"at most the model's context of {context}")
    tokenizer, tally = TextTokenizer.load(spec.checkpoint), OmissionTally()
    setting = f"{method.stage}.max_length" if max_length < context else "pretraining.shape.context"
    fitting: dict[str, list[Labelled]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        items = method.read(spec.data, split, tokenizer)
        for labelled in items:
            tokens = input_length(labelled.item)
            tally.add(labelled.source, method.unit)
            if tokens <= max_length:
                fitting[split].append(labelled)
            else:
                case = OmissionCase(uri=labelled.uri, detail=f"{tokens:,} tokens; at most {max_length:,} are allowed")
                tally.omit(labelled.source, method.unit, "too-long", case, setting)
        if not fitting[split]:
            raise TrainingError(f"{spec.data}: none of the {len(items)} items in {split} fits max_length, {max_length} tokens")
    held_out = first_of_each_kind(fitting[VALIDATION], lambda labelled: labelled.kind, method.max_held_out)
    return fitting[TRAIN], held_out, tally.omissions()


def _scores(model: nn.Module, items: Sequence[Labelled], micro_batch_tokens: int) -> Scores:
    return log_probabilities(model, [labelled.item for labelled in items], micro_batch_tokens)


def _identity(spec: Spec[Config]) -> dict[str, JSON]:
    """Everything that the trained weights depend on."""
    return {
        "config": {type(spec.config).__name__: deciding(spec.config)},
        "data": HASHED.sha256(spec.data / "train.jsonl"),
        "weights": HASHED.sha256(spec.checkpoint / WEIGHTS),
    }


def _figures(tuned: Tuned, headlines: Sequence[str]) -> dict[str, JSON]:
    """Steps, examples, mean loss over the last tenth of the steps, and the measures in `headlines` before and after, by kind."""
    losses = [row["loss"] for row in tuned.trained.history if "loss" in row]
    tail = losses[-max(1, len(losses) // 10) :]
    figures: dict[str, JSON] = {
        "steps": len(tuned.trained.history),
        "examples": tuned.examples,
        **tuned.omissions.figures,
        "loss": sum(tail) / len(tail),
    }
    for change in tuned.changes:
        if change.measure in headlines:
            figures[f"{change.measure}/{change.kind}/before"] = change.before
            figures[f"{change.measure}/{change.kind}/after"] = change.after
    return figures
