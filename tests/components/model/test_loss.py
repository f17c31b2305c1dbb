"""The in-place cross-entropy against torch's, value and gradient."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from components.model import loss
from components.model.loss import cross_entropy, linear_cross_entropy


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


def head(dtype: torch.dtype, vocabulary: int = 33) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden, weight = (torch.randn(size, generator=generator).to(dtype) for size in ((3, 7, 16), (vocabulary, 16)))
    return hidden.requires_grad_(), weight.requires_grad_()


@pytest.mark.parametrize("rows", [1, 4, 21, 100])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_a_loss_chunked_with_the_head_has_the_value_and_gradients_of_fp64_cross_entropy(
    rows: int, dtype: torch.dtype, tolerance: float
) -> None:
    (hidden, weight), (_, targets) = head(dtype), batch()
    exact = [tensor.detach().double().requires_grad_() for tensor in (hidden, weight)]
    expected = F.cross_entropy((exact[0] @ exact[1].T).flatten(0, 1), targets.flatten(), reduction="sum")
    (expected * 0.3).backward()
    loss, losses = linear_cross_entropy(hidden, weight, targets, rows=rows)
    torch.testing.assert_close(losses.sum(), loss.detach())
    assert losses[0, 2] == 0
    (loss * 0.3).backward()
    torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=tolerance)
    for ours, theirs in zip((hidden, weight), exact, strict=True):
        assert ours.grad is not None
        assert ours.grad.dtype == dtype
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=tolerance, atol=tolerance)


class Largest(TorchDispatchMode):
    """The most elements of any tensor that an operation made."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = function(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.elements = max(self.elements, made.numel())
        return made


def test_a_chunked_loss_never_holds_more_logits_than_a_chunk() -> None:
    (hidden, weight), (_, targets) = head(torch.bfloat16, vocabulary=1000), batch(vocabulary=1000)
    with Largest() as largest:
        linear_cross_entropy(hidden, weight, targets, rows=2)[0].backward()
    assert largest.elements == weight.numel() < targets.numel() * 1000


def test_a_chunked_loss_without_gradients_has_the_same_value() -> None:
    (hidden, weight), (_, targets) = head(torch.float32), batch()
    with torch.no_grad():
        alone = linear_cross_entropy(hidden, weight, targets, rows=4)
    assert torch.equal(alone[0], linear_cross_entropy(hidden, weight, targets, rows=4)[0].detach())


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("vocabulary", [33, 102_400])
def test_the_kernel_of_a_gpu_gives_what_the_processor_gives(dtype: torch.dtype, vocabulary: int) -> None:
    logits, targets = batch(dtype, vocabulary)
    results = []
    for device in ("cpu", "cuda"):
        leaf = logits.to(device, copy=True).requires_grad_()
        cross_entropy(leaf, targets.to(device)).backward()
        assert leaf.grad is not None
        results.append(leaf.grad.cpu())
    torch.testing.assert_close(*results, rtol=2e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-7)


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("rows", [None, 5])
def test_the_head_with_its_loss_gives_on_a_gpu_what_fp64_gives(rows: int | None, dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    _, targets = batch()
    hidden, head = (torch.randn(size, generator=generator, dtype=torch.float64).to(dtype) for size in ((3, 7, 64), (33, 64)))
    results = []
    for device, kind in (("cuda", dtype), ("cpu", torch.float64)):
        x, weight = (tensor.to(device, kind).requires_grad_() for tensor in (hidden, head))
        if rows is None:
            total = cross_entropy(x @ weight.T, targets.to(device), reduction="none").sum()
        else:
            total, _ = linear_cross_entropy(x, weight, targets.to(device), rows=rows)
        (0.3 * total).backward()
        assert x.grad is not None
        assert weight.grad is not None
        results.append([actual.double().cpu() for actual in (total.detach(), x.grad, weight.grad)])
    for actual, expected in zip(*results, strict=True):
        assert float((actual - expected).norm() / expected.norm()) < tolerance


class VocabularyThird:
    """A third of the vocabulary, in a thread of its own; what the three gather is exchanged at a barrier."""

    def __init__(self, number: int, barrier: threading.Barrier, box: list[Tensor]) -> None:
        self.first, self._number, self._barrier, self._box = 11 * number, number, barrier, box

    def gather(self, x: Tensor) -> Tensor:
        self._box[self._number] = x
        self._barrier.wait()
        actual = torch.stack(self._box)
        self._barrier.wait()
        return actual


@pytest.mark.parametrize("rows", [None, 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_parts_of_the_vocabulary_give_the_loss_and_the_gradients_of_the_whole(
    rows: int | None, dtype: torch.dtype, tolerance: float
) -> None:
    _, targets = batch()
    hidden, head = torch.randn(3, 7, 4, dtype=torch.float64).to(dtype), torch.randn(33, 4, dtype=torch.float64).to(dtype)

    def gradients(head_VD: Tensor, vocabulary: VocabularyThird | None) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = hidden.clone().requires_grad_(), head_VD.clone().requires_grad_()
        if rows is None:
            losses = cross_entropy(x @ weight.T, targets, reduction="none", vocabulary=vocabulary).sum()
        else:
            losses, _ = linear_cross_entropy(x, weight, targets, rows=rows, vocabulary=vocabulary)
        losses.backward()  # type: ignore[no-untyped-call]
        assert x.grad is not None
        assert weight.grad is not None
        return losses.detach(), x.grad, weight.grad

    barrier, box = threading.Barrier(3), [torch.empty(0)] * 3
    with ThreadPoolExecutor(3) as pool:
        shards = list(pool.map(lambda n: gradients(head[11 * n : 11 * (n + 1)], VocabularyThird(n, barrier, box)), range(3)))
    total, of_hidden, of_head = gradients(head, None)
    for shard in shards:
        torch.testing.assert_close(shard[0], total, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(sum(shard[1] for shard in shards), of_hidden, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(torch.cat([shard[2] for shard in shards]), of_head, rtol=tolerance, atol=tolerance)
