"""What some workers saved, any other number of workers goes on from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.ports import InProcessLauncher, SilentMetrics, TrainingReporter
from components.training.checkpoints.saving import CheckpointPlan
from components.training.loop import TrainSpec, train
from components.training.parallel.layout import ParallelLayout
from tests.components.training.conftest import NextToken, RepeatedPairs, settings, small_model
from tests.spawning import SpawningLauncher

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Spec:
    """A training of the small model up to some step of twelve."""

    checkpoints: Path
    precision: str
    stop_after: int
    zero_stage: int = 1


class EnoughError(Exception):
    """The training is cut off here."""


@dataclass(frozen=True)
class Stopping:
    """A reporter that cuts the training off."""

    rank: int
    world_size: int
    after: int

    def report(self, step: int, total_steps: int, values: Any) -> None:
        """Cut it off once `after` is behind."""
        if step > self.after:
            raise EnoughError

    def checkpoint_wanted(self) -> bool:
        return False


def work(spec: Spec, reporter: TrainingReporter) -> tuple[int, list[Any], list[float]]:
    """Where it went on from, the weights, and the losses; nothing where it was cut off."""
    model = small_model()
    try:
        trained = train(
            TrainSpec(model=model, objective=NextToken(), batches=RepeatedPairs()),
            settings(precision=spec.precision, checkpoint_steps=6, layout=ParallelLayout(zero_stage=spec.zero_stage)),
            CheckpointPlan(root=spec.checkpoints, identity={"model": "small"}),
            Stopping(reporter.rank, reporter.world_size, spec.stop_after),
        )
    except EnoughError:
        return -1, [], []
    return trained.resumed_from, [p.detach().numpy() for p in model.parameters()], [row["loss"] for row in trained.history]


def launch(spec: Spec, workers: int) -> Any:
    launcher = InProcessLauncher() if workers == 1 else SpawningLauncher()
    return launcher.launch(work, spec, workers=workers, metrics=SilentMetrics())[0]


TOLERANCE = {"fp32": 1e-5, "bf16": 5e-3}
"""Of losses, relative: the workers' sums are rounded in another order. The state itself is taken over bitwise."""


@pytest.mark.parametrize(
    ("precision", "before", "after"),
    [
        ("bf16", 2, 1),
        pytest.param("fp32", 1, 2, marks=pytest.mark.slow),
        pytest.param("fp32", 2, 3, marks=pytest.mark.slow),
        pytest.param("bf16", 3, 2, marks=pytest.mark.slow),
    ],
)
def test_training_goes_on_with_another_number_of_workers(precision: str, before: int, after: int, tmp_path: Path) -> None:
    _, _, whole = launch(Spec(tmp_path / "whole", precision, 12), 1)
    launch(Spec(tmp_path / "cut", precision, 6), before)
    resumed_from, _, losses = launch(Spec(tmp_path / "cut", precision, 12), after)
    assert resumed_from == 6
    assert losses == pytest.approx(whole, rel=TOLERANCE[precision])


@pytest.mark.slow
def test_weights_that_are_loaded_and_saved_by_other_workers_stay_bitwise_what_they_were(tmp_path: Path) -> None:
    _, weights, _ = launch(Spec(tmp_path, "bf16", 12), 2)
    for workers in (1, 3):
        resumed_from, same, _ = launch(Spec(tmp_path, "bf16", 12), workers)
        assert resumed_from == 12
        assert all(np.array_equal(a, b) for a, b in zip(weights, same, strict=True))


@pytest.mark.parametrize(
    ("precision", "workers"),
    [("fp32", 2), pytest.param("bf16", 2, marks=pytest.mark.slow), pytest.param("fp32", 3, marks=pytest.mark.slow)],
)
def test_zero_3_learns_what_one_worker_does_and_zero_1_goes_on_from_it(precision: str, workers: int, tmp_path: Path) -> None:
    _, _, whole = launch(Spec(tmp_path / "whole", precision, 12), 1)
    _, weights, losses = launch(Spec(tmp_path / "three", precision, 12, zero_stage=3), workers)
    resumed_from, same, _ = launch(Spec(tmp_path / "three", precision, 12, zero_stage=1), 1)
    assert losses == pytest.approx(whole, rel=TOLERANCE[precision])
    assert resumed_from == 12
    assert all(np.array_equal(a, b) for a, b in zip(weights, same, strict=True))


@pytest.mark.slow
def test_zero_3_goes_on_from_zero_1(tmp_path: Path) -> None:
    _, _, whole = launch(Spec(tmp_path / "whole", "fp32", 12), 1)
    launch(Spec(tmp_path / "cut", "fp32", 6), 1)
    resumed_from, _, losses = launch(Spec(tmp_path / "cut", "fp32", 12, zero_stage=3), 2)
    assert resumed_from == 6
    assert losses == pytest.approx(whole, rel=TOLERANCE["fp32"])
