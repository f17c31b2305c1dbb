"""FLOPs, parameters and training memory of a decoder's shape. Pure arithmetic."""

import dataclasses

from components.artifacts import ModelShape

BYTES = {"fp32": 4, "bf16": 2}
"""Bytes of a number in the precision of the forward and backward pass."""

CHECKPOINT_BYTES = 12
"""Bytes of a weight in a training checkpoint, and in its copy in memory: the weight and AdamW's two moments, all in fp32."""

ACTIVATION_CHECKPOINTING = ("none", "selective", "full")
"""What a layer keeps for the backward pass: everything; its input and the outputs of matrices and attention; its input alone."""

ATTENTION_BLOCK = 128
"""Queries in a block of attention in bf16 on a CPU: fastest or second fastest of 64 to 512, for sequences of 256 to 1 024."""

MAX_LENGTH_IN_BLOCKS = 1024
"""Longest sequence, in tokens, for which attention in bf16 on a CPU works in blocks: the weights that it keeps grow with the
square of the length."""


SCALES = {"non_embedding_flops_per_token": 1.0, "parameters": 6.0, "non_embedding_parameters": 6.0}
"""What a law can count as model scale S, each with the factor k of C = k·S·D."""


def non_embedding_flops_per_token(shape: ModelShape, sequence_length: int) -> int:
    """The paper's model scale M = 72·n_layer·d_model² + 12·n_layer·d_model·l_seq (section 3.1, equation 2).

    FLOPs of forward and backward pass for one token, with attention, without embeddings and head. It assumes 12·d_model²
    weights in every layer, whatever the FFN and the number of key and value heads are.
    """
    return 72 * shape.n_layer * shape.d_model**2 + 12 * shape.n_layer * shape.d_model * sequence_length


def model_flops_per_token(shape: ModelShape, sequence_length: int) -> int:
    """FLOPs of forward and backward pass for one token as the decoder does them: 6·(matrix weights) + 6·n_layer·d_model·l_seq.

    Matrix weights are those of attention, FFN and head; the embedding is a lookup. Causal attention needs half of the scores
    (PaLM, arXiv 2204.02311, appendix B, counts them all: 12·n_layer·d_model·l_seq).
    """
    weights = parameters_by_component(shape)
    in_matrices = weights["attention"] + weights["ffn"] + weights["head"]
    return 6 * in_matrices + 6 * shape.n_layer * shape.d_model * sequence_length


def six_n(shape: ModelShape, *, with_embeddings: bool = False) -> int:
    """FLOPs per token as earlier work counts them: 6N, N = 12·n_layer·d_model², without or with embedding and head (6N₁, 6N₂).

    The paper compares both with M (section 3.1, table 3): they leave out attention, or count the lookup of embeddings.
    """
    embeddings = 2 * shape.vocab_size * shape.d_model if with_embeddings else 0
    return 6 * (12 * shape.n_layer * shape.d_model**2 + embeddings)


def parameters(shape: ModelShape) -> int:
    """Exact number of weights."""
    return sum(parameters_by_component(shape).values())


def parameters_by_component(shape: ModelShape) -> dict[str, int]:
    """Exact number of weights of embedding, attention, ffn, norms and head, over all layers."""
    d_key_value = shape.n_kv_head * shape.d_head
    return {
        "embedding": shape.vocab_size * shape.d_model,
        "attention": shape.n_layer * 2 * shape.d_model * (shape.d_model + d_key_value),
        "ffn": shape.n_layer * 3 * shape.d_model * shape.d_ffn,
        "norms": (2 * shape.n_layer + 1) * shape.d_model,
        "head": shape.vocab_size * shape.d_model,
    }


def activations_per_token(shape: ModelShape, tensor_shards: int = 1) -> int:
    """Numbers that the backward pass needs for each token, without logits.

    In each layer, of width d_model: input and output of two norms, query, and attention's output, in two layouts; key and
    value; and four of width d_ffn: gate, its SiLU, up, and their product. At the end, input and output of the last norm. With
    tensor parallelism, each shard keeps all that the norms keep, and its share of the rest.
    """
    d_key_value = shape.n_kv_head * shape.d_head
    shared = 3 * shape.d_model + 2 * d_key_value + 4 * shape.d_ffn
    return shape.n_layer * (4 * shape.d_model + -(-shared // tensor_shards)) + 2 * shape.d_model


def activation_bytes(shape: ModelShape, tokens: int, precision: str, tensor_shards: int = 1) -> int:
    """Bytes that the backward pass needs for a micro-batch of `tokens`, without attention's weights and logits; of one tensor
    shard where there are several."""
    return BYTES[precision] * tokens * activations_per_token(shape, tensor_shards)


def checkpointed_bytes(
    shape: ModelShape, tokens: int, sequence_length: int, precision: str, tensor_shards: int = 1, checkpointing: str = "none"
) -> tuple[int, int]:
    """Bytes that a micro-batch keeps until its backward pass, and bytes that this recomputes, for one layer at a time.

    With attention's weights, without logits. Selective checkpointing keeps of each layer its input (d_model), query, attention's
    output before and after the output matrix (3·d_model), key and value, gate and up, and the output of the FFN (d_model); full
    checkpointing keeps its input alone (arXiv 1604.06174).
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
    """Attention weights that are kept for each token, on average: none in fp32, on a GPU, and beyond `MAX_LENGTH_IN_BLOCKS`,
    where attention does not work in blocks.

    In each layer and head, a query keeps a weight for every key up to the end of its block.
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
    """Expected peak bytes on one of `workers` workers under ZeRO-1 (arXiv 1910.02054, section 5.1), by component.

    With N weights, w workers, t tokens in a micro-batch and b bytes a number (2 in bf16, 4 in fp32):
    weights b·N; gradients 4·N, accumulated in fp32 and whole on every worker; master weights 4·N / w and AdamW's two moments
    8·N / w, both in fp32; activations as `checkpointed_bytes` counts them; logits b·t·vocab_size, overwritten by their
    gradient, or what is recomputed if that is more: the logits are freed before. What the process itself takes (Python,
    torch, CUDA's context) is not counted.
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
    """The scale S of a shape, counted as `scale` says."""
    if scale == "non_embedding_flops_per_token":
        return float(non_embedding_flops_per_token(shape, sequence_length))
    return float(parameters(shape)) if scale == "parameters" else six_n(shape) / 6
