"""A step that one of several workers cannot do, or shall not: all leave it out alike, in every layout."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from components.ports import InProcessLauncher, SilentMetrics, TrainingReporter
from components.training.checkpoints.saving import CheckpointPlan
from components.training.loop import Batch, Terms, TrainSpec, train
from components.training.parallel.layout import ParallelLayout
from tests.components.training.conftest import NextToken, RepeatedPairs, settings, small_model
from tests.spawning import SpawningLauncher

pytestmark = pytest.mark.long

SINGLE = ParallelLayout()
LAYOUTS = {
    "data": ParallelLayout(),
    "zero 3": ParallelLayout(zero_stage=3),
    "tensor": ParallelLayout(tensor=2),
    "sequence": ParallelLayout(sequence=2),
    "pipeline": ParallelLayout(pipeline=2),
}
BROKEN, SPIKE = 4, 60
"""Steps that are left out, from 1."""

History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Case:
    """One training."""

    layout: ParallelLayout
    checkpoints: Path
    factor: float
    """Of the loss of the last worker, in one step."""
    step: int
    changes: Mapping[str, Any]


class Stepping:
    """A reporter that knows how many steps are done."""

    def __init__(self, reporter: TrainingReporter) -> None:
        self.rank, self.world_size, self.done = reporter.rank, reporter.world_size, 0

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        self.done = step

    def checkpoint_wanted(self) -> bool:
        return False


class Bad(NextToken):
    """The last worker's loss, and so its gradient, is multiplied in one step."""

    def __init__(self, case: Case, reporter: Stepping) -> None:
        self.case, self.reporter = case, reporter

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        terms = super().__call__(model, batch)
        last = self.reporter.rank == self.reporter.world_size - 1
        bad = last and self.reporter.done + 1 == self.case.step
        return Terms(loss=terms.loss * self.case.factor if bad else terms.loss, figures=terms.figures)


class Uneven(RepeatedPairs):
    """Of two workers the second has twice as many micro-batches."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        batches = super().micro_batches(step, rank, world_size)
        if rank == 0:
            return batches
        return [dict(zip(batch, half, strict=True)) for batch in batches for half in _halves(batch)]


def _halves(batch: Batch) -> list[tuple[torch.Tensor, ...]]:
    return list(zip(*(tensor.chunk(2) for tensor in batch.values()), strict=True))


def work(cases: Sequence[Case], reporter: TrainingReporter) -> list[tuple[History, bool]]:
    """The history of each training, and whether the weights that this worker has afterwards are numbers."""
    outcomes = []
    for case in cases:
        model, stepping = small_model(), Stepping(reporter)
        uneven = case.layout.workers_per_replica == 1 and case.layout.zero_stage == 1
        trained = train(
            TrainSpec(model=model, objective=Bad(case, stepping), batches=Uneven() if uneven else RepeatedPairs()),
            settings(layout=case.layout, checkpoint_steps=None, **case.changes),
            CheckpointPlan(root=case.checkpoints, identity={"model": "small"}),
            stepping,
        )
        outcomes.append((trained.history, all(bool(torch.isfinite(weight).all()) for weight in model.parameters())))
    return outcomes


def launch(cases: Sequence[Case], workers: int) -> list[list[tuple[History, bool]]]:
    launcher = InProcessLauncher() if workers == 1 else SpawningLauncher()
    return launcher.launch(work, cases, workers=workers, metrics=SilentMetrics())


def broken(layout: ParallelLayout, directory: Path) -> Case:
    return Case(layout, directory, math.nan, BROKEN, {"steps": 7, "non_finite": "skip"})


def spike(directory: Path) -> Case:
    return Case(SINGLE, directory, 100.0, SPIKE, {"steps": 62, "on_spike": "skip"})


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[History, bool]]:
    """One worker, with the broken step and with the spike."""
    directory = tmp_path_factory.mktemp("alone")
    return launch([broken(SINGLE, directory / "broken"), spike(directory / "spike")], 1)[0]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[tuple[History, bool], ...]]:
    """Two workers in each layout with the broken step, and with the spike, by name."""
    directory = tmp_path_factory.mktemp("two")
    cases = {name: broken(layout, directory / name) for name, layout in LAYOUTS.items()} | {"spike": spike(directory / "spike")}
    return dict(zip(cases, zip(*launch(list(cases.values()), 2), strict=True), strict=True))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_loss_of_one_worker_that_is_not_a_number_is_left_out_by_all(name: str, two: Any, alone: Any) -> None:
    (first, finite), (second, _) = two[name]
    assert first == second
    assert finite
    assert [row["step"] for row in first if "gradient_norm" not in row] == [BROKEN]
    for mine, theirs in zip(first[BROKEN:], alone[0][0][BROKEN:], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5)


def test_a_spike_of_one_worker_is_left_out_by_all_however_many_micro_batches_each_has(two: Any, alone: Any) -> None:
    (first, _), (second, _) = two["spike"]
    assert first == second
    assert [row["step"] for row in first if "gradient_norm" not in row] == [SPIKE]
    assert first[-1]["loss"] == pytest.approx(alone[1][0][-1]["loss"], rel=1e-3)
