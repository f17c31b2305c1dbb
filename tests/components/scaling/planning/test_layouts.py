"""Layouts: what divides, and what a rank holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import ModelShape
from components.flops import parameters, training_memory
from components.scaling.planning.layouts import layouts, memory_per_rank
from components.scaling.planning.proposal import PAPER_MODELS
from components.training.parallel.layout import ParallelLayout

SEVEN_B, SIXTY_SEVEN_B = (PAPER_MODELS[name].shape for name in ("7b", "67b"))
assert SEVEN_B is not None
assert SIXTY_SEVEN_B is not None


def memory(shape: ModelShape, **layout: int) -> int:
    return memory_per_rank(ParallelLayout(**layout), shape, micro_batch_size=1, sequence_length=4096)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(gpus=st.integers(1, 300), per_node=st.sampled_from([1, 4, 8]))
def test_every_layout_uses_all_gpus_with_parts_of_matrices_and_sequences_inside_a_node(gpus: int, per_node: int) -> None:
    possible = list(layouts(gpus, per_node))
    assert len(set(possible)) == len(possible) > 0
    assert all(layout.workers == gpus and layout.tensor * layout.sequence <= per_node for layout in possible)
    assert possible[0] == ParallelLayout(data=gpus)


@pytest.mark.parametrize("workers", [1, 3, 64])
def test_replicas_alone_hold_what_training_memory_says(workers: int) -> None:
    expected = training_memory(SEVEN_B, micro_batch_size=1, sequence_length=4096, workers=workers)
    assert memory(SEVEN_B, data=workers) == sum(expected.values())


def test_tensor_parallelism_shares_out_all_but_what_the_norms_keep() -> None:
    norms = 4096 * 2 * (4 * SEVEN_B.n_layer + 2) * SEVEN_B.d_model
    assert memory(SEVEN_B, tensor=8) == pytest.approx((memory(SEVEN_B) - norms) / 8 + norms, rel=1e-6)


def test_the_workers_of_a_sequence_share_its_tokens_and_the_state() -> None:
    whole, halved = memory(SEVEN_B), memory(SEVEN_B, sequence=2)
    assert halved == pytest.approx(whole - 6 * parameters(SEVEN_B) - (whole - 18 * parameters(SEVEN_B)) / 2, rel=1e-6)


def test_pipeline_stages_share_the_layers_but_keep_as_many_micro_batches_as_there_are_stages() -> None:
    staged = memory(SEVEN_B, pipeline=10)
    assert memory(SEVEN_B) / 10 < staged < memory(SEVEN_B) / 2
    assert staged > 18 * parameters(SEVEN_B) / 10 + 2 * 4096 * 30 * 4 * SEVEN_B.d_ffn
