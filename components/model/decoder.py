"""A LLaMA decoder: RMSNorm before each block, SwiGLU, rotary embeddings, grouped-query attention, no biases, untied embeddings.

See DeepSeek LLM, arXiv 2401.02954, section 2.2. The code does not depend on how the model is parallelised.

Suffixes of tensor names are their shapes: B sequences, T tokens, S tokens attended to (including the cache), D d_model, H query
heads, K key and value heads, E width of a head, F d_ffn, V vocabulary, Q queries of a block, N = B · H.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.flops import ATTENTION_BLOCK, MAX_LENGTH_IN_BLOCKS
from components.model.cache import KeyValueCache, LayerCache
from components.model.loss import Vocabulary
from components.model.passes import RMSNorm, rotate


class Decoder(nn.Module):
    """Maps token ids to logits. The weights are undefined until `initialise` or `huggingface.load`.

    Can be created under `torch.device("meta")`, for example to count the parameters of a shape.
    """

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab_size, shape.d_model)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layer))
        self.norm = RMSNorm(shape.d_model, eps=shape.norm_epsilon)
        self.head = nn.Linear(shape.d_model, shape.vocab_size, bias=False)
        self.vocabulary: Vocabulary | None = None
        """The range of token ids that the logits cover; None: all."""
        self.call_layer: Callable[..., Tensor] = call_directly
        """Calls a layer with its inputs; replaced for activation checkpointing and compilation."""
        self.sequence_rank = 0
        """With sequence parallelism, which shard of each sequence the tokens are; determines their positions."""

    def forward(
        self,
        tokens_BT: Tensor,
        cache: KeyValueCache | None = None,
        *,
        documents_BS: Tensor | None = None,
        with_head: bool = True,
    ) -> Tensor:
        """Logits for the token after each of `tokens_BT`: BTV, in the dtype of the weights.

        Args:
            tokens_BT: token ids, int64. cache: keys and values of earlier tokens; the new ones are appended. documents_BS:
            document number of each token of the whole sequence, int64, for `document_mask`; None: a single document. Cannot be
            used with a cache. with_head: if False, return the input of the head instead: BTD.

        Raises:
            ConfigError: the sequence is longer than the context.
        """
        hidden_BTD = self.hidden(tokens_BT, cache, documents_BS)
        return self.head(hidden_BTD) if with_head else hidden_BTD

    def hidden(self, tokens_BT: Tensor, cache: KeyValueCache | None = None, documents_BS: Tensor | None = None) -> Tensor:
        """The input of the head: BTD, after the last norm. Appends to `cache`, whose tokens precede `tokens_BT`."""
        new = tokens_BT.shape[1]
        self._refuse_beyond_context(new if cache is None else cache.length + new - min(cache.padding))
        x_BTD = self.embedding(tokens_BT)
        first = self.sequence_rank * new
        positions = torch.arange(first, first + new, device=x_BTD.device) if cache is None else cache.positions(new)
        mask_B1TS = None if cache is None else cache.mask(new)
        if documents_BS is not None:
            mask_B1TS = document_mask(documents_BS, x_BTD.dtype)
        rotation = rotary_tables(positions, self.shape.d_head, x_BTD.dtype, self.shape.rope_theta)
        for index, layer in enumerate(self.layers):
            x_BTD = self.call_layer(layer, x_BTD, rotation, mask_B1TS, None if cache is None else cache.layers[index])
        return self.norm(x_BTD)

    def _refuse_beyond_context(self, length: int) -> None:
        if length > self.shape.context:
            raise ConfigError(f"a sequence of {length} tokens is too long; allowed: at most the context of {self.shape.context}")


class Layer(nn.Module):
    """Attention and feed-forward network, each after a norm and added to the residual stream."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(shape.d_model, eps=shape.norm_epsilon)
        self.attention = Attention(shape)
        self.ffn_norm = RMSNorm(shape.d_model, eps=shape.norm_epsilon)
        self.ffn = FeedForward(shape)

    def forward(
        self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor], mask_B1TS: Tensor | None, cache: LayerCache | None
    ) -> Tensor:
        """The residual stream after this layer: BTD."""
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), rotation, mask_B1TS, cache)
        return x_BTD + self.ffn(self.ffn_norm(x_BTD))


def call_directly(layer: Layer, *inputs: Any) -> Tensor:
    """Call a layer; the default of `Decoder.call_layer`."""
    x_BTD: Tensor = layer(*inputs)
    return x_BTD


class Attention(nn.Module):
    """Causal attention with rotary embeddings; H / K query heads share a key and value head (GQA, arXiv 2305.13245)."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.d_head = shape.d_head
        self.attend: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor] = attend
        self.query = nn.Linear(shape.d_model, shape.n_head * shape.d_head, bias=False)
        self.key = nn.Linear(shape.d_model, shape.n_kv_head * shape.d_head, bias=False)
        self.value = nn.Linear(shape.d_model, shape.n_kv_head * shape.d_head, bias=False)
        self.output = nn.Linear(shape.n_head * shape.d_head, shape.d_model, bias=False)

    def forward(
        self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor], mask_B1TS: Tensor | None, cache: LayerCache | None
    ) -> Tensor:
        """The attention output of each token: BTD. `mask_B1TS` None means causal."""
        q_BHTE = rotate(self._heads(self.query(x_BTD)), *rotation)
        k_BKSE = rotate(self._heads(self.key(x_BTD)), *rotation)
        v_BKSE = self._heads(self.value(x_BTD))
        if cache is not None:
            k_BKSE, v_BKSE = cache.extend(k_BKSE, v_BKSE)
        read_BHTE = self.attend(q_BHTE, k_BKSE, v_BKSE, mask_B1TS)
        return self.output(read_BHTE.transpose(1, 2).flatten(2))

    def _heads(self, x_BTN: Tensor) -> Tensor:
        """Split the last dimension into heads: B, heads, T, E. The number of heads is inferred, so it also works for a shard."""
        return x_BTN.view(*x_BTN.shape[:2], -1, self.d_head).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.d_model, shape.d_ffn, bias=False)
        self.up = nn.Linear(shape.d_model, shape.d_ffn, bias=False)
        self.down = nn.Linear(shape.d_ffn, shape.d_model, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Map BTD to BTD, with hidden width F."""
        return self.down(F.silu(self.gate(x_BTD)) * self.up(x_BTD))


def attend(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, mask_B1TS: Tensor | None) -> Tensor:
    """Softmax attention: BHTE. Without a mask it is causal, and the last query attends to all keys."""
    length, grouped = q_BHTE.shape[2], q_BHTE.shape[1] > k_BKSE.shape[1]
    causal = mask_B1TS is None and length > 1
    if causal and q_BHTE.device.type == "cpu" and q_BHTE.dtype == torch.bfloat16 and length <= MAX_LENGTH_IN_BLOCKS:
        return attend_in_blocks(q_BHTE, k_BKSE, v_BKSE)
    if grouped and mask_B1TS is not None and q_BHTE.is_cuda:
        # CUDA kernels with masks do not support grouped heads: SDPA would fall back to materialising S² scores per head
        k_BKSE, v_BKSE, grouped = _repeated(k_BKSE, q_BHTE), _repeated(v_BKSE, q_BHTE), False
    return F.scaled_dot_product_attention(q_BHTE, k_BKSE, v_BKSE, attn_mask=mask_B1TS, is_causal=causal, enable_gqa=grouped)


def attend_in_blocks(q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor) -> Tensor:
    """Causal attention computed with matrix products: each block of queries with all keys up to the end of the block.

    torch 2.13's flash kernel for CPUs multiplies bf16 at a third of the rate of torch's matrix product, in the forward and
    backward pass. For 256 and 512 tokens, this function is about twice as fast in bf16; in fp32 the kernel is faster, by a
    factor of 1.2 to 1.7. This function keeps the attention weights for the backward pass, so long sequences use the kernel.
    """
    k_BHTE, v_BHTE = _repeated(k_BKTE, q_BHTE), _repeated(v_BKTE, q_BHTE)
    q_NTE, k_NTE, v_NTE = (x_BHTE.flatten(0, 1) for x_BHTE in (q_BHTE * q_BHTE.shape[-1] ** -0.5, k_BHTE, v_BHTE))
    later = torch.ones(ATTENTION_BLOCK, ATTENTION_BLOCK, dtype=torch.bool, device=q_NTE.device).triu(1)
    blocks = []
    for start in range(0, q_NTE.shape[1], ATTENTION_BLOCK):
        q_NQE = q_NTE[:, start : start + ATTENTION_BLOCK]
        end = start + q_NQE.shape[1]
        scores_NQS = q_NQE @ k_NTE[:, :end].mT
        scores_NQS[..., start:].masked_fill_(later[: end - start, : end - start], -torch.inf)
        blocks.append(scores_NQS.softmax(-1) @ v_NTE[:, :end])
    return torch.cat(blocks, dim=1).view(q_BHTE.shape)


def _repeated(x_BKSE: Tensor, q_BHTE: Tensor) -> Tensor:
    """Keys or values, repeated for each query head of their group: BHSE."""
    repeats = q_BHTE.shape[1] // x_BKSE.shape[1]
    return x_BKSE.repeat_interleave(repeats, dim=1) if repeats > 1 else x_BKSE


def document_mask(documents_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask, added to the scores, with which a token attends only to earlier tokens of its document: B1SS, in `dtype`.

    It contains 0 and -inf and is created once for all layers; SDPA would convert a boolean mask in each layer and keep the
    result for the backward pass. It has S² numbers per sequence (32 MiB for 4 096 tokens in bf16), which planning does not
    count. On a CPU, attention takes 1 to 1.2 times as long as without a mask for 512 tokens, and 1.5 to 1.7 times for 2 048,
    because kernels only skip causally masked blocks. On a GPU, the flash kernel does not support masks, so SDPA uses another
    kernel.

    Rotary positions are not reset at document boundaries, because attention depends only on differences of positions (arXiv
    2104.09864, section 3.2), which are the same wherever a document starts.
    """
    seen_BSS = (documents_BS[:, :, None] == documents_BS[:, None]).tril()
    mask_BSS = torch.zeros(seen_BSS.shape, dtype=dtype, device=seen_BSS.device)
    return mask_BSS.masked_fill_(~seen_BSS, -torch.inf)[:, None]


def rotary_tables(positions: Tensor, d_head: int, dtype: torch.dtype, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary embeddings with base `theta`, for positions T or BT: (B 1) T E/2, to multiply heads.

    Computed in fp32 for each batch, because a buffer would lose precision when the model is cast to bf16.
    """
    frequencies = theta ** -(torch.arange(0, d_head, 2, device=positions.device).float() / d_head)
    angles = positions[..., None].float() * frequencies
    if angles.dim() == 3:
        angles = angles[:, None]
    return angles.cos().to(dtype), angles.sin().to(dtype)


@torch.no_grad()
def initialise(model: Decoder, std: float, seed: int) -> None:
    """Initialise every matrix from N(0, std²) and every norm with ones (arXiv 2401.02954, section 2.3: std 0.006)."""
    for name, parameter in model.named_parameters():
        parameter.copy_(initial_weight(name, parameter.shape, std, seed))


def initial_weight(name: str, size: torch.Size, std: float, seed: int) -> Tensor:
    """The initial value of one parameter, in fp32, as in `initialise`.

    Each parameter has its own random generator, seeded with `seed` and its name, so its values do not depend on the device or on
    sharding.
    """
    if len(size) == 1:
        return torch.ones(size)
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    return torch.empty(size).normal_(0.0, std, generator=generator)
