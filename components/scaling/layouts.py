"""How a shape lies on GPUs: data, tensor and pipeline parallelism, what divides by them, and the memory of a rank."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from components.artifacts import ModelShape
from components.flops import BYTES, activation_bytes, attention_weights_per_token, parameters_by_part


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Ranks in each direction; their product is the number of GPUs."""

    data: int = 1
    """Replicas, which share optimizer state and master weights (ZeRO-1)."""
    tensor: int = 1
    """Parts of every weight matrix; activations are shared out too (sequence parallelism, arXiv 2205.05198)."""
    pipeline: int = 1
    """Stages of consecutive layers, worked through one micro-batch forward, one backward (1F1B, arXiv 2104.04473)."""


def layouts(gpus: int, per_node: int) -> Iterator[Layout]:
    """Every layout of so many GPUs with tensor parallelism inside a node, the least splitting of the model first."""
    found = [
        Layout(data=gpus // (tensor * pipeline), tensor=tensor, pipeline=pipeline)
        for tensor in _divisors(gpus)
        if tensor <= per_node
        for pipeline in _divisors(gpus // tensor)
    ]
    yield from sorted(found, key=lambda layout: (layout.tensor * layout.pipeline, layout.pipeline))


def divides(layout: Layout, shape: ModelShape) -> bool:
    """Whether heads, key and value heads, FFN and vocabulary divide by `tensor`, and layers by `pipeline`."""
    split = (shape.n_head, shape.n_kv_head, shape.d_ffn, shape.vocab_size)
    return shape.n_layer % layout.pipeline == 0 and all(count % layout.tensor == 0 for count in split)


def memory_per_rank(
    layout: Layout, shape: ModelShape, *, micro_batch_size: int, sequence_length: int, precision: str = "bf16"
) -> int:
    """Expected peak bytes of the fullest rank; for data parallelism alone it is `components.flops.training_memory_bytes`.

    The first stage holds the embedding and the activations of as many micro-batches as there are stages, the last one the
    head, the logits and one micro-batch; weights, activations and logits are shared out among the tensor ranks.
    """
    tokens = micro_batch_size * sequence_length
    parts = parameters_by_part(shape)
    layers = (parts["attention"] + parts["ffn"] + parts["norms"]) // layout.pipeline
    stage, width = dataclasses.replace(shape, n_layer=shape.n_layer // layout.pipeline), BYTES[precision]
    activations = activation_bytes(stage, tokens, precision)
    activations += width * tokens * attention_weights_per_token(stage, sequence_length)
    logits = width * tokens * shape.vocab_size
    if layout.pipeline == 1:
        stages = [(layers + parts["embedding"] + parts["head"], activations + logits)]
    else:
        stages = [(layers + parts["embedding"], layout.pipeline * activations), (layers + parts["head"], activations + logits)]
    return max(_bytes(-(-weights // layout.tensor), -(-kept // layout.tensor), layout, width) for weights, kept in stages)


def _bytes(weights: int, kept: int, layout: Layout, width: int) -> int:
    """Weights and gradients whole, master weights and the optimizer's moments shared by the replicas, and what is kept."""
    shared = -(-4 * weights // layout.data) - (-8 * weights // layout.data)
    return width * weights + 4 * weights + shared + kept


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
