"""Layouts: whole replicas, what divides, who talks to whom."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.training.parallel.layout import AXES, ParallelLayout

SHAPE = ModelShape(n_layer=6, d_model=64, n_head=8, n_kv_head=4, d_ffn=96, vocab_size=320, context=32)

LAYOUTS = st.builds(ParallelLayout, **{name: st.integers(1, 4) for name in AXES})


def test_replicas_are_as_many_as_the_workers_make() -> None:
    assert ParallelLayout(tensor=2, pipeline=3).over(24).data == 4
    assert ParallelLayout(data=4, sequence=2).over(8) == ParallelLayout(data=4, sequence=2)


@pytest.mark.parametrize(
    ("layout", "workers", "refusal"),
    [
        (
            ParallelLayout(tensor=2, sequence=2),
            6,
            "6 workers with the layout tensor 2 x sequence 2 x pipeline 1; allowed: a multiple of 4",
        ),
        (
            ParallelLayout(data=2, pipeline=2),
            8,
            "8 workers with the layout data 2 x tensor 1 x sequence 1 x pipeline 2; allowed: 4",
        ),
    ],
)
def test_workers_that_make_no_whole_replicas_are_refused_with_the_number_that_would(
    layout: ParallelLayout, workers: int, refusal: str
) -> None:
    with pytest.raises(ConfigError) as error:
        layout.over(workers)
    assert str(error.value) == refusal


@pytest.mark.parametrize(
    ("layout", "refusal"),
    [
        ({"tensor": 8}, "tensor is 8; allowed: a divisor of 8 heads, 4 key and value heads, .* vocabulary entries: 1, 2, 4"),
        ({"tensor": 3}, "tensor is 3; allowed: .*: 1, 2, 4"),
        (
            {"sequence": 8},
            "sequence is 8; allowed: a divisor of 8 heads, 4 key and value heads, 32 tokens of a sequence: 1, 2, 4",
        ),
        ({"tensor": 2, "sequence": 4}, "sequence is 4; allowed: a divisor of 4 heads per tensor shard, 2 key .*: 1, 2"),
        ({"pipeline": 4}, "pipeline is 4; allowed: a divisor of 6 layers: 1, 2, 3, 6"),
    ],
)
def test_what_does_not_divide_is_refused_with_what_would(layout: dict[str, int], refusal: str) -> None:
    with pytest.raises(ConfigError, match=refusal):
        ParallelLayout(**layout).require_fit(SHAPE, 32)


def test_what_divides_fits() -> None:
    ParallelLayout(data=5, tensor=2, sequence=2, pipeline=3).require_fit(SHAPE, 32)


@pytest.mark.parametrize("axis", ["tensor", "pipeline"])
def test_zero_3_is_refused_where_the_model_is_sharded_already(axis: str) -> None:
    with pytest.raises(ConfigError, match="zero_stage is 3; allowed: 1 with tensor or pipeline above 1"):
        ParallelLayout(zero_stage=3, **{axis: 2})
    assert ParallelLayout(zero_stage=3, sequence=2).zero_stage == 3


@given(layout=LAYOUTS)
def test_every_worker_has_a_place_of_its_own_and_tensor_parts_are_neighbours(layout: ParallelLayout) -> None:
    coordinates = [layout.coordinates(rank) for rank in range(layout.workers)]
    assert len({tuple(ranks.values()) for ranks in coordinates}) == layout.workers
    assert all(group == list(range(group[0], group[0] + layout.tensor)) for group in layout.groups("tensor"))


@given(layout=LAYOUTS, axes=st.sets(st.sampled_from(AXES)))
def test_groups_hold_every_worker_once_and_differ_in_their_axes_alone(layout: ParallelLayout, axes: set[str]) -> None:
    groups = layout.groups(*axes)
    assert sorted(itertools.chain(*groups)) == list(range(layout.workers))
    for group in groups:
        others = {tuple(layout.coordinates(rank)[name] for name in AXES if name not in axes) for rank in group}
        assert len(others) == 1
