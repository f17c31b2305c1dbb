"""Plans are values."""

import dataclasses

import pytest

from components.artifacts import ModelShape, Plan, Point

PLAN = Plan(
    shape=ModelShape(n_layer=2, d_model=64, n_head=4, n_kv_head=4, d_ffn=256, vocab_size=512, context=64),
    tokens=64 * 32 * 10,
    batch_size=32,
    sequence_length=64,
    steps=10,
    learning_rate=1e-3,
    init_std=0.006,
    warmup_steps=2,
    compute=1e12,
    memory_bytes=10**6,
    law={"tokens": 20_000.0},
)


def test_points_of_one_plan_and_seed_are_one_and_nobody_changes_them() -> None:
    point = Point(budget=1e12, plan=PLAN, seed=0)
    assert point == Point(budget=1e12, plan=dataclasses.replace(PLAN), seed=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.seed = 1  # type: ignore[misc]
