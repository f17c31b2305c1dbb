"""A loss times its scale: also where it is not finite, so that every worker skips the same update."""

import math

import pytest
import torch

from components.training.objective import scaled


def test_a_scaled_loss_has_a_scaled_gradient() -> None:
    loss = torch.tensor(3.0, requires_grad=True)
    product = scaled(loss, 0.25)
    product.backward()
    assert product.item() == 0.75
    assert loss.grad is not None
    assert loss.grad.item() == 0.25


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_a_loss_that_is_not_finite_has_a_gradient_that_is_not(value: float, scale: float) -> None:
    loss = torch.tensor(value, requires_grad=True)
    scaled(loss, scale).backward()
    assert loss.grad is not None
    assert math.isnan(loss.grad.item())


def test_the_scale_is_applied_in_the_precision_of_the_loss() -> None:
    assert scaled(torch.tensor(1.0, dtype=torch.float64), 1 / 3).item() == 1 / 3
