"""What is taken as zero while a model computes."""

import torch

from components.model.denormals import flushed_denormals


def nearly_nothing() -> float:
    """A number that fp32 has only without its leading one."""
    return float(torch.tensor(1e-30) * 1e-9)


def test_what_is_nearly_nothing_is_zero_inside_the_block_alone() -> None:
    assert nearly_nothing() > 0
    with flushed_denormals():
        assert nearly_nothing() == 0
    assert nearly_nothing() > 0


def test_a_block_inside_another_leaves_it_as_it_was() -> None:
    with flushed_denormals():
        with flushed_denormals():
            pass
        assert nearly_nothing() == 0
