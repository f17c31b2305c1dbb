"""Shapes found for a model scale."""

import pytest

from components.flops import non_embedding_flops_per_token
from components.scaling.planning.shapes import d_ffn, nearest_shape, small_shapes


@pytest.mark.parametrize("scale", [1e7, 1e8, 1e9, 1e10, 4.23e10, 1.8e11, 4.97e11, 1e13])
def test_the_shape_found_has_nearly_the_scale_asked_for_in_sensible_proportions(scale: float) -> None:
    shape = nearest_shape(scale, vocab_size=1000, sequence_length=1024)
    assert non_embedding_flops_per_token(shape, 1024) == pytest.approx(scale, rel=0.3 if scale < 1e8 else 0.06)
    assert 50 < shape.d_model / shape.n_layer < 220
    assert (shape.vocab_size, shape.context) == (1000, 1024)


def test_at_the_papers_7b_scale_the_shape_is_near_the_papers() -> None:
    shape = nearest_shape(4.23e10, vocab_size=102400, sequence_length=4096)
    assert shape.d_model == pytest.approx(4096, rel=0.15)
    assert shape.n_layer == pytest.approx(30, rel=0.35)
    assert shape.n_kv_head == shape.n_head


def test_large_shapes_group_their_queries_over_eight_key_and_value_heads() -> None:
    assert nearest_shape(4.97e11, vocab_size=102400, sequence_length=4096).n_kv_head == 8


def test_a_scale_below_every_shape_gives_the_smallest() -> None:
    shape = nearest_shape(1.0, vocab_size=1000, sequence_length=512)
    assert (shape.n_layer, shape.d_model) == (1, 64)


def test_the_intermediate_size_is_the_papers() -> None:
    assert (d_ffn(4096), d_ffn(8192), d_ffn(192)) == (11008, 22016, 512)


def test_small_shapes_keep_their_proportions_within_the_bounds_and_their_heads_even() -> None:
    shapes = list(small_shapes(1024, 256, (30.0, 70.0)))
    assert {shape.d_model for shape in shapes} >= {64, 96, 128, 192, 256, 512}
    assert all(30 <= shape.d_model / shape.n_layer <= 70 for shape in shapes)
    assert all(shape.d_head in (32, 64) for shape in shapes)
    assert {(shape.vocab_size, shape.context) for shape in shapes} == {(1024, 256)}
    assert next(shape.d_ffn for shape in shapes if shape.d_model == 192) == 512


def test_bounds_on_proportions_may_leave_one_depth() -> None:
    assert {shape.n_layer for shape in small_shapes(512, 128, (48.0, 48.0))} <= {shape // 48 for shape in range(48, 4097, 48)}
