"""RMSNorm and rotary embeddings that read and write memory less often than the plain formulas with autograd.

On a CPU, torch has no single kernel for them, and the plain formulas take half as long as the matrix products. torch.compile
fuses the formulas, and on a GPU RMSNorm is a single kernel, so both use torch's versions.

Suffixes of tensor names are their shapes: N rows, D d_model; B sequences, H heads, T tokens, E width of a head.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RMSNorm(nn.RMSNorm):
    """`torch.nn.RMSNorm` (arXiv 1910.07467): x · weight / sqrt(mean(x²) + ε), over the last dimension."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x`; keeps shape and dtype, and computes in fp32 (fp64 for fp64)."""
        if x.is_cuda or torch.compiler.is_compiling():
            return super().forward(x)
        normalised: Tensor = _RMSNorm.apply(x, self.weight, self.eps)  # type: ignore[no-untyped-call]
        return normalised


class _RMSNorm(torch.autograd.Function):
    """RMSNorm that keeps only its input and one number per row; autograd would keep the input twice, in fp32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
        x_ND = x.flatten(0, -2)
        precise = torch.promote_types(x.dtype, torch.float32)
        norm_N1 = torch.linalg.vector_norm(x_ND, dim=-1, keepdim=True, dtype=precise)
        inverse_N1 = norm_N1.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight_D, inverse_N1)
        return (x_ND * inverse_N1).mul_(weight_D).to(x.dtype).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of the input, r·w·g - x · r³ · mean(w·g·x), and of the weight, sum(r·g·x); r: inverse norm, g: `gradient`."""
        x, weight_D, inverse_N1 = ctx.saved_tensors
        x_ND, gradient_ND = x.flatten(0, -2).to(inverse_N1.dtype), gradient.flatten(0, -2).to(inverse_N1.dtype)
        precise_D = weight_D.to(inverse_N1.dtype)
        product_ND = gradient_ND * x_ND
        of_weight_D = torch.mv(product_ND.T, inverse_N1[:, 0])
        share_N1 = torch.mv(product_ND, precise_D)[:, None].mul_(inverse_N1.square()).div_(x.shape[-1])
        of_input_ND = torch.mul(gradient_ND, precise_D, out=product_ND)
        of_input_ND.addcmul_(x_ND, share_N1, value=-1).mul_(inverse_N1)
        return of_input_ND.to(x.dtype).view(x.shape), of_weight_D.to(weight_D.dtype), None


def rotate(x_BHTE: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Apply rotary embeddings: rotate the pairs (i, i + E/2) of each head. transformers' LLaMA uses the same pairs.

    Args:
        x_BHTE: queries or keys.
        cosines: cosines of the angles, (B 1) T E/2, in the dtype of `x_BHTE`.
        sines: sines of the angles, with the same shape and dtype.
    """
    if torch.compiler.is_compiling():
        x1, x2 = x_BHTE.chunk(2, dim=-1)
        return torch.cat((x1 * cosines - x2 * sines, x2 * cosines + x1 * sines), dim=-1)
    turned: Tensor = _Rotation.apply(x_BHTE, cosines, sines)  # type: ignore[no-untyped-call]
    return turned


class _Rotation(torch.autograd.Function):
    """Rotates by the angles; the backward pass rotates by the negative angles."""

    @staticmethod
    def forward(ctx: Any, x_BHTE: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        ctx.save_for_backward(cosines, sines)
        return _turned(x_BHTE, cosines, sines, torch.empty(x_BHTE.shape, dtype=x_BHTE.dtype, device=x_BHTE.device))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BHTE: Tensor) -> tuple[Tensor, None, None]:
        cosines, sines = ctx.saved_tensors
        # The heads are a view of the projection's output. With this memory format, the gradient is a view of its gradient, too
        out_BTHE = torch.empty_like(gradient_BHTE.transpose(1, 2), memory_format=torch.contiguous_format)
        return _turned(gradient_BHTE, cosines, -sines, out_BTHE.transpose(1, 2)), None, None


def _turned(x_BHTE: Tensor, cosines: Tensor, sines: Tensor, out_BHTE: Tensor) -> Tensor:
    x1, x2 = x_BHTE.chunk(2, dim=-1)
    turned1, turned2 = out_BHTE.chunk(2, dim=-1)
    torch.mul(x1, cosines, out=turned1).addcmul_(x2, sines, value=-1)
    torch.mul(x2, cosines, out=turned2).addcmul_(x1, sines)
    return out_BHTE
