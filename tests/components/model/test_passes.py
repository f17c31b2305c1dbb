"""RMSNorm and rotary positions against autograd of their formulas."""

import pytest
import torch
from torch import Tensor, nn

from components.model.decoder import rotary_tables
from components.model.passes import RMSNorm, rotate


def gradients(output: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(output.dtype)
    return torch.autograd.grad(output, inputs, upstream)


def formula(x_BHTE: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    x1, x2 = x_BHTE.chunk(2, dim=-1)
    return torch.cat((x1 * cosines - x2 * sines, x2 * cosines + x1 * sines), dim=-1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_the_norm_and_its_gradients_are_those_of_torch_in_fp64(dtype: torch.dtype, tolerance: float) -> None:
    x = (3 * torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).to(dtype).requires_grad_()
    ours, exact = RMSNorm(16, eps=1e-3), nn.RMSNorm(16, eps=1e-3)
    weight = torch.linspace(0.5, 2.0, 16, dtype=torch.float64)
    results = []
    for norm, kind in ((ours, dtype), (exact, torch.float64)):
        norm.to(kind).weight.data.copy_(weight)
        leaf = x.detach().to(kind).requires_grad_()
        output = norm(leaf)
        assert output.dtype == kind
        results.append([output, *gradients(output, leaf, norm.weight)])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 4e-2)])
@pytest.mark.parametrize("per_sequence", [False, True])
def test_a_rotation_and_its_gradient_are_those_of_the_formula(dtype: torch.dtype, tolerance: float, per_sequence: bool) -> None:
    heads = torch.randn(2, 7, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    positions = torch.tensor([[0, 1, 2, 3, 4, 5, 6], [3, 4, 5, 6, 7, 8, 9]]) if per_sequence else torch.arange(7)
    results = []
    for turn, kind in ((rotate, dtype), (formula, torch.float64)):
        leaf = heads.to(dtype).to(kind).requires_grad_()
        output = turn(leaf.transpose(1, 2), *(table.to(kind) for table in rotary_tables(positions, 8, dtype, 1e4)))
        assert output.dtype == kind
        results.append([output, *gradients(output, leaf)])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual.double(), expected, rtol=tolerance, atol=tolerance)


def test_the_norm_keeps_its_input_and_one_number_a_row() -> None:
    x, norm, kept = torch.randn(2, 5, 64, requires_grad=True), RMSNorm(64, eps=1e-6), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        norm(x)
    assert sorted(tensor.numel() for tensor in kept) == [10, 64, 640]
