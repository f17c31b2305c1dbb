"""A small model, batches and an objective to train it on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from components.artifacts import ModelShape
from components.model.decoder import Decoder, initialise
from components.model.loss import cross_entropy
from components.ports import RecordedMetrics, RecordingReporter
from components.series import SeriesWriter
from components.training.checkpoints.saving import CheckpointPlan
from components.training.config import TrainingSettings
from components.training.loop import Batch, Terms, Trained, TrainSpec, train
from tests.training_configs import training_config

SHAPE = ModelShape(n_layer=2, d_model=16, n_head=2, n_kv_head=2, d_ffn=32, vocab_size=32, context=16)


class RepeatedPairs:
    """Sequences in which every second token repeats the one before; two micro-batches of four."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        ids = torch.randint(0, 32, (8, 17), generator=torch.Generator().manual_seed(step))
        ids[:, 1::2] = ids[:, 0:-1:2]
        mine = ids[8 * rank // world_size : 8 * (rank + 1) // world_size]
        return [{"tokens": ids[:, :-1], "targets": ids[:, 1:]} for ids in mine.split(4)]


class NextToken:
    """Cross-entropy of the targets that are not -100."""

    def weight(self, batch: Batch) -> float:
        return float((batch["targets"] != -100).sum())

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        vocabulary = cast(Decoder, model).vocabulary
        loss = cross_entropy(model(batch["tokens"]), batch["targets"], reduction="none", vocabulary=vocabulary).sum()
        return Terms(loss=loss, figures={"twice": 2 * loss.detach()})


def settings(**changes: Any) -> TrainingSettings:
    """Twelve steps with a checkpoint after each fifth and the last, and `changes` to these settings or their config."""
    length = {name: changes.pop(name) for name in ("steps", "learning_rate", "warmup_steps") if name in changes}
    config = training_config(**{"precision": "fp32", "checkpoint_seconds": None, "checkpoint_steps": 5} | changes)
    return TrainingSettings(config=config, **{"steps": 12, "learning_rate": 1e-2, "warmup_steps": 2} | length)


def small_model() -> Decoder:
    model = Decoder(SHAPE)
    initialise(model, 0.02, 0)
    return model


class SeriesMetrics(RecordedMetrics):
    """Keeps the metrics also as a series in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.writer = SeriesWriter(path)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        super().log(step, values)
        self.writer.append(step, values)


Training = Callable[..., tuple[Decoder, Trained, RecordedMetrics]]


@pytest.fixture
def training(tmp_path: Path) -> Training:
    """Train a small model: `training(batches=…, objective=…, settings changes…)`."""

    def run(
        checkpoints: Path = tmp_path / "checkpoints",
        batches: Any = None,
        objective: Any = None,
        validation: Any = None,
        identity: Any = None,
        model: Decoder | None = None,
        until: int | None = None,
        on_incident: Any = None,
        uploads: Any = None,
        series: Path | None = None,
        **changes: Any,
    ) -> tuple[Decoder, Trained, RecordedMetrics]:
        model, metrics = model or small_model(), RecordedMetrics() if series is None else SeriesMetrics(series)
        spec = TrainSpec(
            model=model,
            objective=objective or NextToken(),
            batches=batches or RepeatedPairs(),
            validation=validation,
            on_incident=on_incident,
        )
        plan = CheckpointPlan(root=checkpoints, identity=identity or {"model": "small"}, uploads=uploads, until=until)
        trained = train(spec, settings(**changes), plan, RecordingReporter(metrics))
        return model, trained, metrics

    return run


def equal(first: nn.Module, second: nn.Module) -> bool:
    """Whether all weights are bitwise equal."""
    return all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
