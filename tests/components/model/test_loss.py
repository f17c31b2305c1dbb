"""The in-place cross-entropy against torch's, value and gradient."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from components.model import loss
from components.model.loss import cross_entropy


def batch(dtype: torch.dtype = torch.float64, vocabulary: int = 33) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3, 7, vocabulary, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, vocabulary, (3, 7), generator=generator)
    targets[0, 2], targets[2, 5] = -100, -100
    return logits.to(dtype), targets


def reference(logits: Tensor, targets: Tensor, reduction: str, upstream: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and gradient by F.cross_entropy in fp64."""
    leaf = logits.double().clone().requires_grad_()
    losses = F.cross_entropy(leaf.flatten(0, 1), targets.flatten(), reduction=reduction)
    losses = losses if reduction == "mean" else losses.view(targets.shape)
    losses.backward(upstream)
    assert leaf.grad is not None
    return losses.detach(), leaf.grad


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("elements", [33 * 4, 2**20])
@pytest.mark.parametrize(
    ("dtype", "relative", "absolute"), [(torch.float64, 1e-12, 1e-12), (torch.float32, 1e-5, 1e-6), (torch.bfloat16, 1e-2, 1e-5)]
)
def test_values_and_gradients_are_those_of_fp64_cross_entropy(
    reduction: str, elements: int, dtype: torch.dtype, relative: float, absolute: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loss.CHUNK_ELEMENTS, "cpu", elements)
    logits, targets = batch(dtype)
    upstream = torch.tensor(0.3, dtype=torch.float64) if reduction == "mean" else torch.rand(3, 7, dtype=torch.float64) - 0.5
    expected, gradient = reference(logits, targets, reduction, upstream)
    leaf = logits.clone().requires_grad_()
    losses = cross_entropy(leaf, targets, reduction=reduction)  # type: ignore[arg-type]
    torch.testing.assert_close(losses.double(), expected, rtol=1e-5, atol=1e-5)
    losses.backward(upstream.to(losses.dtype))
    assert leaf.grad is not None
    assert leaf.grad.dtype == dtype
    torch.testing.assert_close(leaf.grad.double(), gradient, rtol=relative, atol=absolute)


def test_numerical_differences_agree_with_the_gradient() -> None:
    logits, targets = batch()
    direction, step = torch.randn(logits.shape, dtype=logits.dtype), 1e-6
    higher, lower = (cross_entropy(logits + sign * step * direction, targets) for sign in (1, -1))
    leaf = logits.clone().requires_grad_()
    cross_entropy(leaf, targets).backward()
    assert leaf.grad is not None
    torch.testing.assert_close((leaf.grad * direction).sum(), (higher - lower) / (2 * step), rtol=1e-6, atol=1e-9)


def test_the_logits_are_overwritten_by_their_gradient_and_no_second_tensor_is_made() -> None:
    logits, targets = batch(torch.bfloat16)
    leaf = logits.clone().requires_grad_()
    cross_entropy(leaf, targets).backward()
    assert leaf.grad is not None
    assert torch.equal(leaf.detach(), leaf.grad)
    assert not torch.equal(leaf.detach(), logits)


def test_logits_without_a_gradient_are_left_alone() -> None:
    logits, targets = batch(torch.float32)
    before = logits.clone()
    cross_entropy(logits, targets)
    assert torch.equal(logits, before)


def test_a_second_backward_pass_is_refused_instead_of_scaling_twice() -> None:
    logits, targets = batch()
    mean = cross_entropy((logits.requires_grad_() * 1.0), targets)
    mean.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="inplace"):
        mean.backward()


def test_a_batch_without_targets_has_loss_zero_and_gradient_zero() -> None:
    logits, targets = batch()
    mean = cross_entropy(logits.requires_grad_(), torch.full_like(targets, -100))
    mean.backward()
    assert mean.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_very_unlikely_targets_have_a_finite_loss() -> None:
    logits = torch.tensor([[500.0, -500.0, 0.0]])
    assert cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(1000.0)
