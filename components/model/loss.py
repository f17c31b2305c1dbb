"""Cross-entropy that overwrites the logits with their gradient (DeepSeek LLM, arXiv 2401.02954, section 2.4).

The logits keep their dtype; only a chunk of rows at a time is converted to fp32. So there is no second tensor of the size of
the logits, which are the largest activation with a vocabulary of 102 400.

`linear_cross_entropy` includes the head and creates the logits of only one chunk of rows at a time, for large vocabularies.

If the vocabulary is sharded among workers, each worker has the logits of its ids, and the workers exchange only two numbers per
row.

Shapes: N rows (one per target), R rows of a chunk, V vocabulary, P shards of the vocabulary, D d_model.
"""

from collections.abc import Iterator
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_ELEMENTS = {"cpu": 2**20, "cuda": 2**26}
"""Number of logits converted to fp32 at a time, by device. CPU: the fastest of 2^16 to 2^21. GPU: 256 MiB, used without the
kernel."""


class Vocabulary(Protocol):
    """A shard of the vocabulary: the range of token ids that the logits of a worker cover."""

    @property
    def first(self) -> int:
        """The first token id."""
        ...

    def gather(self, x: Tensor) -> Tensor:
        """The tensors `x` of all shards, stacked: [shards, ...]."""
        ...


def cross_entropy(
    logits_BTV: Tensor,
    targets_BT: Tensor,
    ignore_index: int = -100,
    reduction: Literal["mean", "none"] = "mean",
    vocabulary: Vocabulary | None = None,
) -> Tensor:
    """Cross-entropy in nats; fp32 (fp64 for fp64 logits).

    **Logits that require a gradient are overwritten**: do not use them afterwards. Other logits are not changed.

    Args:
        logits_BTV: any leading dimensions, then the vocabulary; fp64, fp32, bf16 or fp16. targets_BT: int64 ids, or
        `ignore_index` for tokens without loss. ignore_index: the target value that is ignored. reduction: "mean": the mean over
        targets that are not ignored (0 if there are none); "none": one loss per target, 0 if ignored. vocabulary: the range of
        ids that the logits cover; None: all. The softmax is over the whole vocabulary in both cases.
    """
    targets_N = targets_BT.flatten()
    counted_N = targets_N != ignore_index
    weights_N = counted_N.to(torch.promote_types(logits_BTV.dtype, torch.float32))
    if reduction == "mean":
        weights_N = weights_N / counted_N.sum().clamp(min=1)
    losses = _OverwritingCrossEntropy.apply(  # type: ignore[no-untyped-call]
        logits_BTV.flatten(0, -2), targets_N.where(counted_N, 0), weights_N, reduction == "mean", vocabulary
    )
    return losses if reduction == "mean" else losses.view(targets_BT.shape)


def linear_cross_entropy(
    hidden_BTD: Tensor,
    head_VD: Tensor,
    targets_BT: Tensor,
    *,
    rows: int,
    ignore_index: int = -100,
    vocabulary: Vocabulary | None = None,
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy of the logits `hidden @ head.T`, computed in chunks of `rows`; in nats, fp32 (fp64 for fp64).

    Both gradients are computed in the forward pass, chunk by chunk, as in Liger (arXiv 2410.10989, section 3.2); the head's
    gradient is summed over the chunks in fp32. No logits are computed twice, so there are no additional matrix products.
    Returns the sum, with gradient, and the loss of each target, detached, 0 if ignored.

    Args:
        hidden_BTD: any leading dimensions, then d_model.
        head_VD: the weight of the head, in the same dtype.
        targets_BT: int64 ids, or `ignore_index` for tokens without loss.
        rows: number of targets in a chunk.
        ignore_index: the target value that is ignored.
        vocabulary: the range of ids that the head's rows cover; None: all. If given, the gradient of `hidden` is only the
            contribution of this shard.
    """
    total, losses_N = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_BTD.flatten(0, -2), head_VD, targets_BT.flatten(), rows, ignore_index, vocabulary
    )
    return total, losses_N.view(targets_BT.shape)


class _LinearCrossEntropy(torch.autograd.Function):
    """The summed losses of N rows. The gradients are computed in the forward pass and only scaled in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        head_VD: Tensor,
        targets_N: Tensor,
        rows: int,
        ignore_index: int,
        vocabulary: Vocabulary | None,
    ) -> tuple[Tensor, Tensor]:
        learning = any(ctx.needs_input_grad[:2])
        precise = torch.promote_types(hidden_ND.dtype, torch.float32)
        losses_N = hidden_ND.new_empty(len(targets_N), dtype=precise)
        hidden_gradient_ND = torch.empty_like(hidden_ND) if learning else None
        head_gradient_VD = torch.zeros_like(head_VD, dtype=precise) if learning else None
        for hidden_RD, targets_R, start in zip(
            hidden_ND.split(rows), targets_N.split(rows), range(0, len(targets_N), rows), strict=True
        ):
            counted_R = targets_R != ignore_index
            logits_RV = hidden_RD @ head_VD.T
            losses_N[start : start + rows] = _losses(
                logits_RV, targets_R.where(counted_R, 0), counted_R.to(precise), vocabulary, overwrite=learning
            )
            if hidden_gradient_ND is not None and head_gradient_VD is not None:
                torch.mm(logits_RV, head_VD, out=hidden_gradient_ND[start : start + rows])
                _add_product(head_gradient_VD, logits_RV.T, hidden_RD)
        if hidden_gradient_ND is not None and head_gradient_VD is not None:
            ctx.save_for_backward(hidden_gradient_ND, head_gradient_VD.to(head_VD.dtype))
        ctx.mark_non_differentiable(losses_N)
        return losses_N.sum(), losses_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        hidden_gradient_ND, head_gradient_VD = ctx.saved_tensors
        return hidden_gradient_ND * gradient, head_gradient_VD * gradient, None, None, None, None


class _OverwritingCrossEntropy(torch.autograd.Function):
    """Weighted losses of N rows, or their sum. The gradient is computed in the forward pass and only scaled in the backward pass.

    Autograd's version counter raises an error for a second backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, logits_NV: Tensor, targets_N: Tensor, weights_N: Tensor, summed: bool, vocabulary: Vocabulary | None
    ) -> Tensor:
        losses_N = _losses(logits_NV, targets_N, weights_N, vocabulary, overwrite=ctx.needs_input_grad[0])
        ctx.save_for_backward(logits_NV)
        return losses_N.sum() if summed else losses_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient_NV,) = ctx.saved_tensors
        _scale_rows(gradient_NV, gradient.expand(len(gradient_NV)))
        return gradient_NV, None, None, None, None


def _losses(logits_NV: Tensor, targets_N: Tensor, weights_N: Tensor, vocabulary: Vocabulary | None, *, overwrite: bool) -> Tensor:
    """The weighted losses of N rows; with `overwrite`, the logits are replaced by their gradient."""
    if vocabulary is None and _is_for_the_kernel(logits_NV):
        from components.model.cross_entropy_kernel import overwrite_rows

        return overwrite_rows(logits_NV, targets_N, weights_N, overwrite=overwrite)
    losses_N = torch.empty_like(weights_N)
    for rows in _chunks(logits_NV):
        chunk = logits_NV[rows], targets_N[rows], weights_N[rows]
        if vocabulary is None:
            losses_N[rows] = _losses_of_chunk(*chunk, overwrite=overwrite)
        else:
            losses_N[rows] = _losses_of_shard(*chunk, vocabulary, overwrite=overwrite)
    return losses_N


def _scale_rows(x_NV: Tensor, factors_N: Tensor) -> None:
    if _is_for_the_kernel(x_NV):
        from components.model.cross_entropy_kernel import scale_rows

        scale_rows(x_NV, factors_N)
        return
    for rows in _chunks(x_NV):
        x_NV[rows].mul_(factors_N[rows, None])


def _is_for_the_kernel(x_NV: Tensor) -> bool:
    return x_NV.is_cuda and x_NV.is_contiguous() and x_NV.dtype != torch.float64


def _add_product(total_VD: Tensor, x_VR: Tensor, y_RD: Tensor) -> None:
    """total += x @ y. On a GPU, the product is not rounded to the dtype of its factors before it is added."""
    if total_VD.is_cuda and total_VD.dtype != x_VR.dtype:
        torch.addmm(total_VD, x_VR, y_RD, out_dtype=total_VD.dtype, out=total_VD)
    else:
        total_VD += x_VR @ y_RD


def _losses_of_chunk(logits_RV: Tensor, targets_R: Tensor, weights_R: Tensor, *, overwrite: bool) -> Tensor:
    """The weighted losses of R rows; with `overwrite`, the logits are replaced by their gradient, weight · (softmax - one-hot).

    Uses log sum exp = m - log softmax(m), with m the largest logit. softmax(m) is at least 1 / V, so nothing underflows, and
    exp is computed only once.
    """
    probabilities_RV = torch.softmax(logits_RV, dim=-1, dtype=weights_R.dtype)
    normaliser_R = logits_RV.amax(-1) - probabilities_RV.amax(-1).log()
    losses_R = (normaliser_R - logits_RV.gather(1, targets_R[:, None])[:, 0]) * weights_R
    if overwrite:
        gradient_RV = probabilities_RV.mul_(weights_R[:, None])
        logits_RV.copy_(gradient_RV.scatter_add_(1, targets_R[:, None], -weights_R[:, None]))
    return losses_R


def _losses_of_shard(
    logits_RV: Tensor, targets_R: Tensor, weights_R: Tensor, vocabulary: Vocabulary, *, overwrite: bool
) -> Tensor:
    """Like `_losses_of_chunk`, for the logits of a shard of the vocabulary.

    The softmax over the whole vocabulary is the softmax within the shard times exp(log sum exp of the shard - log sum exp of
    all).
    """
    probabilities_RV = torch.softmax(logits_RV, dim=-1, dtype=weights_R.dtype)
    own_R = logits_RV.amax(-1) - probabilities_RV.amax(-1).log()
    columns_R = targets_R - vocabulary.first
    here_R = (columns_R >= 0) & (columns_R < logits_RV.shape[1])
    columns_R = columns_R.where(here_R, 0)
    target_R = logits_RV.gather(1, columns_R[:, None])[:, 0].to(own_R.dtype).where(here_R, 0)
    normalisers_PR, targets_PR = vocabulary.gather(torch.stack((own_R, target_R))).unbind(1)
    normaliser_R = normalisers_PR.logsumexp(0)
    if overwrite:
        gradient_RV = probabilities_RV.mul_(((own_R - normaliser_R).exp() * weights_R)[:, None])
        logits_RV.copy_(gradient_RV.scatter_add_(1, columns_R[:, None], -(weights_R * here_R)[:, None]))
    return (normaliser_R - targets_PR.sum(0)) * weights_R


def _chunks(x_NV: Tensor) -> Iterator[slice]:
    step = max(1, CHUNK_ELEMENTS.get(x_NV.device.type, 2**26) // x_NV.shape[1])
    return (slice(start, start + step) for start in range(0, len(x_NV), step))
