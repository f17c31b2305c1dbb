"""Layouts: what divides, and what a rank holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import ModelShape
from components.flops import parameters, training_memory_bytes
from components.scaling.layouts import Layout, divides, layouts, memory_per_rank
from components.scaling.proposal import PAPER_MODELS

SEVEN_B, SIXTY_SEVEN_B = (PAPER_MODELS[name].shape for name in ("7b", "67b"))
assert SEVEN_B is not None
assert SIXTY_SEVEN_B is not None


def memory(shape: ModelShape, **layout: int) -> int:
    return memory_per_rank(Layout(**layout), shape, micro_batch_size=1, sequence_length=4096)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(gpus=st.integers(1, 300), per_node=st.sampled_from([1, 4, 8]))
def test_every_layout_uses_all_gpus_with_tensor_parallelism_inside_a_node(gpus: int, per_node: int) -> None:
    found = list(layouts(gpus, per_node))
    assert len(set(found)) == len(found) > 0
    assert all(layout.data * layout.tensor * layout.pipeline == gpus and layout.tensor <= per_node for layout in found)
    assert found[0] == Layout(data=gpus)


def test_a_shape_divides_by_its_heads_and_layers() -> None:
    assert divides(Layout(tensor=8, pipeline=19), SIXTY_SEVEN_B)
    assert not divides(Layout(pipeline=4), SIXTY_SEVEN_B)
    assert not divides(Layout(tensor=16), SIXTY_SEVEN_B)  # eight key and value heads
    assert divides(Layout(tensor=16), SEVEN_B)


@pytest.mark.parametrize("workers", [1, 3, 64])
def test_replicas_alone_hold_what_training_memory_says(workers: int) -> None:
    expected = training_memory_bytes(SEVEN_B, micro_batch_size=1, sequence_length=4096, workers=workers)
    assert memory(SEVEN_B, data=workers) == expected


def test_tensor_parallelism_shares_everything_out() -> None:
    assert memory(SEVEN_B, tensor=8) == pytest.approx(memory(SEVEN_B) / 8, rel=1e-6)


def test_pipeline_stages_share_the_layers_but_keep_as_many_micro_batches_as_there_are_stages() -> None:
    staged = memory(SEVEN_B, pipeline=10)
    assert memory(SEVEN_B) / 10 < staged < memory(SEVEN_B) / 2
    assert staged > 18 * parameters(SEVEN_B) / 10 + 2 * 4096 * 30 * 4 * SEVEN_B.d_ffn
