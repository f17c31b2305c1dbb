"""Trainings that share a trunk: the same as by themselves, in any order, killed or not."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from components.artifacts import Point
from components.errors import ConfigError
from components.ports import InProcessPool
from components.pretraining import trunks as module
from components.pretraining.config import PretrainingConfig
from components.pretraining.trunks import Trunk, TrunkBranch, train_trunk, trunks
from components.training.config import ScheduleConfig
from tests.components.pretraining.conftest import PLAN
from tests.training_configs import training_config, with_training

pytestmark = pytest.mark.long

CONFIG = PretrainingConfig(training=training_config(precision="fp32", micro_batch_tokens=64), max_validation_bytes=3000)


def point(steps: int, seed: int = 0, rate: float = 1e-2) -> Point:
    plan = replace(PLAN, steps=steps, tokens=steps * 8 * 16, compute=1e5 * steps, learning_rate=rate)
    return Point(budget=1e5 * steps, plan=plan, seed=seed)


def alone(point: Point, token_shards: Path, directory: Path) -> TrunkBranch:
    (trunk,) = trunks([point], CONFIG, token_shards, directory)
    (branch,) = train_trunk(trunk)
    return branch


def outcome(branch: TrunkBranch) -> tuple[object, ...]:
    return branch.outcome, branch.history


def test_points_that_differ_in_their_length_alone_share_a_trunk_and_the_most_flops_come_first(
    token_shards: Path, tmp_path: Path
) -> None:
    points = [point(10), point(20), point(5), point(10, seed=1), point(40, rate=2e-2)]
    steps = [[p.plan.steps for p in trunk.points] for trunk in trunks(points, CONFIG, token_shards, tmp_path)]
    assert steps == [[40], [5, 10, 20], [10]]


def test_a_branch_is_bitwise_what_it_would_have_been_by_itself(token_shards: Path, tmp_path: Path) -> None:
    points = [point(10), point(16), point(24)]
    (trunk,) = trunks(points, CONFIG, token_shards, tmp_path / "together")
    branches = [branch for _, branch in InProcessPool().stream(train_trunk, [trunk])]
    assert [outcome(b) for b in branches] == [outcome(alone(p, token_shards, tmp_path / str(p.plan.steps))) for p in points]
    bits = [branch.outcome.trained.bits_per_byte for branch in branches if branch.outcome.trained]
    assert bits[0] > bits[2] > 0


def test_the_document_mask_holds_in_a_trunk_too(token_shards: Path, tmp_path: Path) -> None:
    losses = []
    for masked in (False, True):
        config = replace(CONFIG, document_mask=masked)
        (trunk,) = trunks([point(5)], config, token_shards, tmp_path)
        (branch,) = train_trunk(trunk)
        losses.append([row["loss"] for row in branch.history])
    assert losses[0][0] != losses[1][0]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_the_trunk_is_trained_once(token_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    original = module.PackedBatches.micro_batches

    def counted(self: object, step: int, rank: int, world_size: int) -> object:
        steps.append(step)
        return original(self, step, rank, world_size)  # type: ignore[arg-type]

    monkeypatch.setattr(module.PackedBatches, "micro_batches", counted)
    (trunk,) = trunks([point(10), point(20)], CONFIG, token_shards, tmp_path)
    list(train_trunk(trunk))
    assert sorted(steps) == sorted([*range(20), 8, 9])


def test_a_killed_trunk_goes_on_with_what_is_missing(token_shards: Path, tmp_path: Path) -> None:
    points = [point(10), point(20)]
    (whole,) = trunks(points, CONFIG, token_shards, tmp_path / "whole")
    (killed,) = trunks(points, CONFIG, token_shards, tmp_path / "killed")
    first = next(train_trunk(killed))
    again = list(train_trunk(killed))
    assert outcome(first) == outcome(again[0])
    assert [outcome(b) for b in again] == [outcome(b) for b in train_trunk(whole)]


def test_a_point_that_was_deleted_after_its_trunk_had_grown_is_trained_by_itself(token_shards: Path, tmp_path: Path) -> None:
    (trunk,) = trunks([point(10), point(20)], CONFIG, token_shards, tmp_path)
    before = [outcome(branch) for branch in train_trunk(trunk)]
    for directory in ("steps-00000010", "trunk/step-00000008"):
        shutil.rmtree(trunk.checkpoints / directory)
    assert [outcome(branch) for branch in train_trunk(trunk)] == before


def test_where_an_epoch_limit_changes_the_data_order_nothing_is_shared(token_shards: Path, tmp_path: Path) -> None:
    assert len(trunks([point(10), point(150)], CONFIG, token_shards, tmp_path)) == 2


def test_a_cosine_schedule_shares_nothing(token_shards: Path, tmp_path: Path) -> None:
    cosine = with_training(CONFIG, schedule=ScheduleConfig(kind="cosine"))
    assert len(trunks([point(10), point(20)], cosine, token_shards, tmp_path)) == 2


def test_a_training_that_breaks_down_says_why_and_the_others_go_on(token_shards: Path, tmp_path: Path) -> None:
    points = [point(10, rate=1e30), point(10)]
    planned = trunks(points, CONFIG, token_shards, tmp_path)
    branches = [branch for _, branch in InProcessPool().stream(train_trunk, planned)]
    broken = next(branch for branch in branches if branch.outcome.failure)
    assert broken.outcome.trained is None
    assert "lower the learning rate" in broken.outcome.failure
    assert len([branch for branch in branches if not branch.outcome.failure]) == 1


def test_a_plan_for_another_vocabulary_is_refused(token_shards: Path, tmp_path: Path) -> None:
    original = point(10)
    other = replace(original, plan=replace(original.plan, shape=replace(original.plan.shape, vocab_size=128)))
    (trunk,) = trunks([other], CONFIG, token_shards, tmp_path)
    assert isinstance(trunk, Trunk)
    with pytest.raises(ConfigError, match="allowed: that of the token shards"):
        next(train_trunk(trunk))
