"""Trains models that differ only in the number of steps and share their first steps (arXiv 2401.02954, sections 2.3 and 3.1).

With the multi-step schedule, a shorter training run is a prefix of a longer one up to the first drop of its learning rate. So the
longest training, the trunk, is trained once, and each shorter one branches from it at its own first drop. The results are
bitwise identical to those of separate training runs.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.artifacts import Figures, Mixture, Point, PointOutcome
from components.errors import TrainingError
from components.model.decoder import Decoder, initialise
from components.ports import Metrics
from components.pretraining.config import PretrainingConfig
from components.pretraining.held_out import HeldOutBitsPerByte
from components.pretraining.packed import NextToken, PackedBatches
from components.pretraining.pretrain import figures_of, outcome_of, refuse_misfits
from components.pretraining.shared_prefix import prefix_identity
from components.tokenizer.token_shards import TokenShardReader
from components.training.checkpoints.files import Row
from components.training.checkpoints.saving import CheckpointPlan
from components.training.config import TrainingSettings
from components.training.history import write_history
from components.training.loop import Trained, TrainSpec, train
from components.training.schedule import common_steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Trunk:
    """Points of a sweep that share their first steps. Paths are absolute."""

    points: tuple[Point, ...]
    """The points, sorted by number of steps; the last one is trained as the trunk."""
    config: PretrainingConfig
    """Config of all points. Its seed selects the held-out documents; the seed of each point is used for its weights and data
    order."""
    token_shards: Path
    checkpoints: Path
    """Directory of the training checkpoints, from which a stopped training run resumes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrunkBranch:
    """The result of training one point of a trunk."""

    number: int
    """Index of the point in the trunk."""
    outcome: PointOutcome
    history: tuple[Row, ...]
    seconds: float
    """Seconds spent in steps and validation by this call, including the steps of the trunk since the previous branch."""


def trunks(points: Sequence[Point], config: PretrainingConfig, token_shards: Path, scratch: Path) -> list[Trunk]:
    """Group points into trunks; the trunk with the most FLOPs comes first.

    Points share a trunk if everything that a step depends on is equal: shape, batch size, learning rate, warm-up, seed and data
    order. The data order differs if one of the points would exceed an epoch limit of the mixture.
    """
    groups: dict[str, list[Point]] = {}
    for number, point in enumerate(points):
        alone = number if common_steps(TrainingSettings.planned(config.training, point.plan)) == 0 else None
        batches = _batches(point, config, token_shards)
        key = json.dumps([prefix_identity(point.plan, config, batches.order, token_shards), alone], sort_keys=True)
        groups.setdefault(hashlib.sha256(key.encode()).hexdigest()[:16], []).append(point)
    unsorted = [
        Trunk(
            points=tuple(sorted(group, key=lambda point: point.plan.steps)),
            config=config,
            token_shards=token_shards,
            checkpoints=scratch / key,
        )
        for key, group in groups.items()
    ]
    return sorted(unsorted, key=lambda trunk: (-trunk.points[-1].plan.compute, trunk.checkpoints))


def train_trunk(trunk: Trunk) -> Iterator[TrunkBranch]:
    """Train all points of a trunk and yield each result when it is ready. A repeated call resumes where the last one stopped.

    Raises:
        ConfigError: a plan does not fit the config or the token shards.
        CheckpointError: the checkpoints belong to other points.
    """
    for number in range(len(trunk.points)):
        clock, history = _Clock(), tuple[Row, ...]()
        try:
            trained = _trained(trunk, number, clock)
            outcome, history = PointOutcome(trained=outcome_of(trained)), trained.history
        except TrainingError as error:
            outcome = PointOutcome(trained=None, failure=str(error))
        yield TrunkBranch(number=number, outcome=outcome, history=history, seconds=clock.seconds)


def write_branch(branch: TrunkBranch, point: Point, output: Path, metrics: Metrics) -> Figures:
    """Write the result of a point and, if any steps were done, `metrics/training.parquet`. Returns the figures of the point."""
    branch.outcome.write(output)
    metrics.measured({"training_seconds": branch.seconds})
    if branch.history:
        write_history(branch.history, output / "metrics" / "training.parquet")
    plan, trained = point.plan, branch.outcome.trained
    planned = {"d_model": plan.shape.d_model, "tokens": plan.tokens, "compute": plan.compute}
    return planned | (figures_of(trained) if trained else {}) | {"failure": branch.outcome.failure}


class _Clock:
    """A reporter for one process that measures the time of the steps of all training runs, without their setup."""

    rank, world_size = 0, 1

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last: float | None = None

    def start(self) -> "_Clock":
        """Start the next training; the time until the end of its first step is derived from the reported speed."""
        self._last = None
        return self

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Add the time of a step that ends now. The time of the first step is computed from its speed."""
        now, speed = time.monotonic(), values.get("tokens_per_second")
        if self._last is not None:
            self.seconds += now - self._last
        elif speed:
            self.seconds += values["tokens"] / step / speed
        self._last = now

    def checkpoint_wanted(self) -> bool:
        """Never: each training of a sweep is short."""
        return False


def _trained(trunk: Trunk, number: int, clock: _Clock) -> Trained:
    """Train one point: a branch of the trunk or, for the last point, the trunk itself."""
    point, root = trunk.points[number], trunk.checkpoints / "trunk"
    if number == len(trunk.points) - 1:
        return _train(trunk, point, root, clock)
    until = common_steps(TrainingSettings.planned(trunk.config.training, point.plan))
    checkpoint = root / f"step-{until:08d}"
    if not checkpoint.exists():
        _train(trunk, trunk.points[-1], root, clock, until=until)
    # A trunk that was trained before this point was added to it may have no checkpoint at this step
    branch_from = checkpoint if checkpoint.exists() else None
    return _train(trunk, point, trunk.checkpoints / f"steps-{point.plan.steps:08d}", clock, branch_from=branch_from)


def _settings(trunk: Trunk, point: Point) -> TrainingSettings:
    """The settings of a point. The longest one, the trunk, keeps checkpoints at the steps where the others branch."""
    settings, length = TrainingSettings.planned(trunk.config.training, point.plan), point.plan.steps
    shorter = (TrainingSettings.planned(trunk.config.training, other.plan) for other in trunk.points if other.plan.steps < length)
    shares = tuple(common_steps(branch) / length for branch in shorter)
    checkpoints = replace(settings.config.checkpoints, keep=1, permanent=shares if point is trunk.points[-1] else ())
    return replace(settings, config=replace(settings.config, checkpoints=checkpoints))


def _train(
    trunk: Trunk, point: Point, root: Path, clock: _Clock, *, until: int | None = None, branch_from: Path | None = None
) -> Trained:
    config, plan = trunk.config, point.plan
    refuse_misfits(config, plan, TokenShardReader.open(trunk.token_shards).vocab_size)
    batches, shares = _batches(point, config, trunk.token_shards), Mixture.read(trunk.token_shards).shares
    model = Decoder(plan.shape)
    initialise(model, plan.init_std, point.seed)
    spec = TrainSpec(
        model=model,
        objective=NextToken(),
        batches=batches,
        validation=HeldOutBitsPerByte(batches.reader, shares, config.max_validation_bytes, config.seed),
    )
    checkpoints = CheckpointPlan(
        root=root,
        identity=prefix_identity(plan, config, batches.order, trunk.token_shards),
        branch_from=branch_from,
        until=until,
    )
    return train(spec, _settings(trunk, point), checkpoints, clock.start())


def _batches(point: Point, config: PretrainingConfig, token_shards: Path) -> PackedBatches:
    """The batches of a point, ordered with its own seed."""
    return PackedBatches.planned(point.plan, token_shards, replace(config, seed=point.seed))
