"""FLOPs, parameter counts and training memory of a decoder shape. Pure arithmetic."""

import dataclasses

from components.artifacts import ModelShape

BYTES = {"fp32": 4, "bf16": 2}
"""Bytes per number, by the precision of the forward and backward pass."""

CHECKPOINT_BYTES = 12
"""Bytes per weight in a training checkpoint and in its copy in memory: the weight and AdamW's two moments, all in fp32."""

ACTIVATION_CHECKPOINTING = ("none", "selective", "full")
"""What a layer keeps for the backward pass: all activations ("none"); its input and the outputs of its matrix products and of
attention ("selective"); only its input ("full")."""

ATTENTION_BLOCK = 128
"""Queries per block of attention in bf16 on a CPU. Of 64 to 512 it was fastest or second fastest for 256 to 1 024 tokens."""

MAX_LENGTH_IN_BLOCKS = 1024
"""Maximum sequence length, in tokens, for which attention in bf16 on a CPU works in blocks. Attention in blocks keeps its weights
for the backward pass, and their number grows with the square of the length."""


SCALES = {"non_embedding_flops_per_token": 1.0, "parameters": 6.0, "non_embedding_parameters": 6.0}
"""The measures of model scale S that a law can use, each with the factor k in C = k·S·D."""


def non_embedding_flops_per_token(shape: ModelShape, sequence_length: int) -> int:
    """The paper's model scale M = 72·n_layer·d_model² + 12·n_layer·d_model·l_seq (section 3.1, equation 2).

    FLOPs per token of the forward and backward pass, including attention, excluding embedding and head. It assumes 12·d_model²
    weights per layer, whatever the FFN width and the number of key and value heads.
    """
    return 72 * shape.n_layer * shape.d_model**2 + 12 * shape.n_layer * shape.d_model * sequence_length


def model_flops_per_token(shape: ModelShape, sequence_length: int) -> int:
    """FLOPs per token that the decoder's forward and backward pass execute: 6·(matrix weights) + 6·n_layer·d_model·l_seq.

    Matrix weights are the weights of attention, FFN and head; the embedding is a lookup. Causal attention needs only half of the
    attention scores (PaLM, arXiv 2204.02311, appendix B, counts all of them: 12·n_layer·d_model·l_seq).
    """
    weights = parameters_by_component(shape)
    in_matrices = weights["attention"] + weights["ffn"] + weights["head"]
    return 6 * in_matrices + 6 * shape.n_layer * shape.d_model * sequence_length


def six_n(shape: ModelShape, *, with_embeddings: bool = False) -> int:
    """FLOPs per token as earlier work estimates them: 6N with N = 12·n_layer·d_model², plus embedding and head if asked for.

    These are 6N₁ and 6N₂ of the paper, which compares both with M (section 3.1, table 3): both omit attention, and 6N₂ counts the
    embedding lookup as a matrix product.
    """
    embeddings = 2 * shape.vocab_size * shape.d_model if with_embeddings else 0
    return 6 * (12 * shape.n_layer * shape.d_model**2 + embeddings)


def parameters(shape: ModelShape) -> int:
    """Exact number of weights."""
    return sum(parameters_by_component(shape).values())


def parameters_by_component(shape: ModelShape) -> dict[str, int]:
    """Exact number of weights in the embedding, attention, FFN, norms and head, each summed over all layers."""
    d_key_value = shape.n_kv_head * shape.d_head
    return {
        "embedding": shape.vocab_size * shape.d_model,
        "attention": shape.n_layer * 2 * shape.d_model * (shape.d_model + d_key_value),
        "ffn": shape.n_layer * 3 * shape.d_model * shape.d_ffn,
        "norms": (2 * shape.n_layer + 1) * shape.d_model,
        "head": shape.vocab_size * shape.d_model,
    }


def activations_per_token(shape: ModelShape, tensor_shards: int = 1) -> int:
    """How many numbers per token are kept for the backward pass, without logits.

    Each layer keeps, of width d_model: input and output of both norms, the query, and the output of attention in two layouts; key
    and value; and of width d_ffn: gate, its SiLU, up, and their product. The last norm adds its input and output. With tensor
    parallelism each shard keeps all activations of the norms, and its fraction of the rest.
    """
    d_key_value = shape.n_kv_head * shape.d_head
    shared = 3 * shape.d_model + 2 * d_key_value + 4 * shape.d_ffn
    return shape.n_layer * (4 * shape.d_model + -(-shared // tensor_shards)) + 2 * shape.d_model


def activation_bytes(shape: ModelShape, tokens: int, precision: str, tensor_shards: int = 1) -> int:
    """Bytes of activations kept for the backward pass of `tokens` tokens, without attention weights and logits.

    With tensor parallelism: bytes of one shard.
    """
    return BYTES[precision] * tokens * activations_per_token(shape, tensor_shards)


def checkpointed_bytes(
    shape: ModelShape, tokens: int, sequence_length: int, precision: str, tensor_shards: int = 1, checkpointing: str = "none"
) -> tuple[int, int]:
    """Bytes that a micro-batch keeps until its backward pass, and bytes that this recomputes, one layer at a time.

    Includes attention weights, excludes logits. Per layer, selective checkpointing keeps the input (d_model), the query and
    attention's output before and after the output matrix (3·d_model), key and value, gate and up, and the output of the FFN
    (d_model); full checkpointing keeps only the input (arXiv 1604.06174).
    """
    width = BYTES[precision]
    all_activations = activation_bytes(shape, tokens, precision, tensor_shards)
    all_activations += width * tokens * attention_weights_per_token(shape, sequence_length, precision) // tensor_shards
    if checkpointing == "none":
        return all_activations, 0
    kept = shape.d_model
    if checkpointing == "selective":
        kept += 2 * shape.d_model + -(-2 * (shape.d_model + shape.n_kv_head * shape.d_head + shape.d_ffn) // tensor_shards)
    recomputed, _ = checkpointed_bytes(dataclasses.replace(shape, n_layer=1), tokens, sequence_length, precision, tensor_shards)
    last_norm = 2 * shape.d_model
    return width * tokens * (shape.n_layer * kept + last_norm), recomputed


def attention_weights_per_token(shape: ModelShape, sequence_length: int, precision: str) -> int:
    """Mean number of attention weights per token that are kept for the backward pass.

    In each layer and head, a query keeps one weight for every key up to the end of its block. 0 where attention does not work in
    blocks: in fp32, and for sequences longer than `MAX_LENGTH_IN_BLOCKS`. Assumes a CPU; on a GPU no weights are kept.
    """
    if precision == "fp32" or sequence_length > MAX_LENGTH_IN_BLOCKS:
        return 0
    return shape.n_layer * shape.n_head * min(sequence_length, (sequence_length + ATTENTION_BLOCK) // 2)


def training_memory(
    shape: ModelShape,
    *,
    micro_batch_size: int,
    sequence_length: int,
    workers: int = 1,
    precision: str = "bf16",
    checkpointing: str = "none",
) -> dict[str, int]:
    """Expected peak memory of one of `workers` workers under ZeRO-1 (arXiv 1910.02054, section 5.1), in bytes by component.

    With N weights, w workers, t tokens per micro-batch and b bytes per number (2 in bf16, 4 in fp32):

    - weights: b·N
    - gradients: 4·N, accumulated in fp32, not sharded
    - master weights 4·N / w and AdamW's two moments 8·N / w, both in fp32
    - activations: see `checkpointed_bytes`
    - logits: b·t·vocab_size, overwritten by their gradient; or the bytes that are recomputed, if more: logits are freed before

    The memory of the process itself (Python, torch, CUDA context) is not counted.
    """
    count, width, tokens = parameters(shape), BYTES[precision], micro_batch_size * sequence_length
    kept, recomputed = checkpointed_bytes(shape, tokens, sequence_length, precision, checkpointing=checkpointing)
    return {
        "weights": width * count,
        "gradients": 4 * count,
        "master_weights": -(-4 * count // workers),
        "optimizer": -(-8 * count // workers),
        "activations": kept,
        "logits": max(width * tokens * shape.vocab_size, recomputed),
    }


def scale_of(shape: ModelShape, sequence_length: int, scale: str) -> float:
    """The model scale S of a shape by the measure `scale`, one of `SCALES`."""
    if scale == "non_embedding_flops_per_token":
        return float(non_embedding_flops_per_token(shape, sequence_length))
    return float(parameters(shape)) if scale == "parameters" else six_n(shape) / 6
