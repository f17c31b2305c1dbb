"""Trainings that differ in their length alone, sharing what they have in common (arXiv 2401.02954, sections 2.3 and 3.1).

Under the multi-step schedule a shorter training is, up to the first drop of its learning rate, the beginning of a longer one.
So the trunk is trained once, and each training branches from it at its own drop: bitwise what it would have been by itself.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.artifacts import Mixture, Point
from components.errors import TrainingError
from components.model.decoder import Decoder, initialise
from components.pretraining.beginnings import beginning
from components.pretraining.config import PretrainingConfig
from components.pretraining.held_out import NAME, HeldOutBitsPerByte
from components.pretraining.packed import NextToken, PackedBatches
from components.pretraining.pretrain import figures_of, refuse_misfits, settings_of
from components.tokenizer.token_shards import TokenShardReader
from components.training.checkpoints.files import Row
from components.training.config import TrainingSettings
from components.training.data_order import DataOrder
from components.training.history import write_history
from components.training.loop import Trained, train
from components.training.portions import apportion, windows_of
from components.training.schedule import common_steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Trunk:
    """Points that differ in their steps alone, the shortest first. Paths are absolute."""

    points: tuple[Point, ...]
    config: PretrainingConfig
    """Its seed chooses the held-out documents, the same for every point; a point's own is that of weights and order."""
    token_shards: Path
    checkpoints: Path
    """Survives a kill; what was trained so far is found there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """What came out of one point of a trunk."""

    number: int
    """Of the point in the trunk."""
    figures: Mapping[str, Any]
    """steps, tokens, loss (mean of the last tenth) and bits per byte; empty where training broke down."""
    history: tuple[Row, ...]
    failure: str
    """Why training broke down; empty where it did not."""
    seconds: float
    """Spent in steps and validation by this call: the branch's own, and those of the trunk since the branch before it."""


def trunks(points: Sequence[Point], config: PretrainingConfig, token_shards: Path, scratch: Path) -> list[Trunk]:
    """The trunks that hold all points between them, the one of the most FLOPs first.

    Points share a trunk where all that decides a step is equal: shape, batch, rate, warm-up, seed, and the data order, which
    differs where one of them would exceed an epoch limit of the mixture.
    """
    groups: dict[str, list[Point]] = {}
    for number, point in enumerate(points):
        alone = number if common_steps(settings_of(config, point.plan)) == 0 else None
        key = json.dumps([beginning(point.plan, config, _order(point, token_shards), token_shards), alone], sort_keys=True)
        groups.setdefault(hashlib.sha256(key.encode()).hexdigest()[:16], []).append(point)
    found = [
        Trunk(
            points=tuple(sorted(group, key=lambda point: point.plan.steps)),
            config=config,
            token_shards=token_shards,
            checkpoints=scratch / key,
        )
        for key, group in groups.items()
    ]
    return sorted(found, key=lambda trunk: (-trunk.points[-1].plan.compute, trunk.checkpoints))


def train_trunk(trunk: Trunk) -> Iterator[Branch]:
    """Train all points of a trunk, each handed over when it is done. A repeated call goes on where the last one stopped.

    Raises:
        ConfigError: a plan that does not go with the configuration or the shards.
        CheckpointError: the checkpoints are of other points.
    """
    for number in range(len(trunk.points)):
        clock, failure, figures, history = _Clock(), "", dict[str, Any](), tuple[Row, ...]()
        try:
            trained = _trained(trunk, number, clock)
            figures, history = figures_of(trained), trained.history
        except TrainingError as error:
            failure = str(error)
        yield Branch(number=number, figures=figures, history=history, failure=failure, seconds=clock.seconds)


def write_branch(branch: Branch, point: Point, output: Path) -> dict[str, Any]:
    """Write `metrics/training.parquet`, one row per step, where there are any; what was trained and what came out."""
    if branch.history:
        write_history(branch.history, output / "metrics" / "training.parquet")
    plan = point.plan
    return {
        "d_model": plan.shape.d_model,
        "tokens": plan.tokens,
        "compute": plan.compute,
        **({"bits_per_byte": branch.figures[NAME]} if NAME in branch.figures else {}),
        **branch.figures,
        "failure": branch.failure,
    }


class _Clock:
    """The reporter of one process: adds up the time from the begin of each training's first step to the end of its last."""

    rank, world_size = 0, 1

    def __init__(self) -> None:
        self.seconds = 0.0
        self._before: float | None = None

    def start(self) -> "_Clock":
        """Another training begins: what it takes to set it up does not count."""
        self._before = None
        return self

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """A step ends; the first one's length follows from its speed."""
        now, speed = time.monotonic(), values.get("tokens_per_second")
        if self._before is not None:
            self.seconds += now - self._before
        elif speed:
            self.seconds += values["tokens"] / step / speed
        self._before = now


def _trained(trunk: Trunk, number: int, clock: _Clock) -> Trained:
    """The training of one point, from the trunk; that of the longest is the trunk itself."""
    point, stem = trunk.points[number], trunk.checkpoints / "trunk"
    if number == len(trunk.points) - 1:
        return _train(trunk, point, stem, clock)
    until = common_steps(settings_of(trunk.config, point.plan))
    fork = stem / f"step-{until:08d}"
    if not fork.exists():
        _train(trunk, trunk.points[-1], stem, clock, until=until)
    # A trunk that was further already, because the point is new in it, gives no branch.
    return _train(trunk, point, trunk.checkpoints / f"steps-{point.plan.steps:08d}", clock, fork=fork if fork.exists() else None)


def _settings(trunk: Trunk, point: Point) -> TrainingSettings:
    """Those of a point; of the longest, checkpoints stay where the others branch off."""
    settings, length = settings_of(trunk.config, point.plan), point.plan.steps
    forks = (common_steps(settings_of(trunk.config, other.plan)) / length for other in trunk.points if other.plan.steps < length)
    return replace(settings, keep_checkpoints=1, permanent_checkpoints=tuple(forks) if point is trunk.points[-1] else ())


def _train(
    trunk: Trunk, point: Point, checkpoints: Path, clock: _Clock, *, until: int | None = None, fork: Path | None = None
) -> Trained:
    config, plan, reader = trunk.config, point.plan, TokenShardReader.open(trunk.token_shards)
    refuse_misfits(config, plan, reader.vocab_size)
    model = Decoder(plan.shape)
    initialise(model, plan.init_std, point.seed)
    order = _order(point, trunk.token_shards)
    return train(
        model,
        NextToken(),
        PackedBatches(reader, order, plan.batch_size, plan.sequence_length, config.micro_batch_size, config.document_mask),
        _settings(trunk, point),
        reporter=clock.start(),
        checkpoints=checkpoints,
        identity=beginning(plan, config, order, trunk.token_shards),
        validation=HeldOutBitsPerByte(reader, _mixture(trunk.token_shards).shares, config.validation_bytes, config.seed),
        trunk=fork,
        until=until,
    )


def _order(point: Point, token_shards: Path) -> DataOrder:
    mixture, plan = _mixture(token_shards), point.plan
    windows = windows_of(TokenShardReader.open(token_shards).index, plan.sequence_length)
    return DataOrder(apportion(mixture, windows, plan.steps * plan.batch_size), point.seed)


def _mixture(token_shards: Path) -> Mixture:
    return Mixture(**json.loads((token_shards / "mixture.json").read_text()))
