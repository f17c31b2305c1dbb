"""The layouts of a number of GPUs, and the memory of a rank in each."""

import dataclasses
from collections.abc import Iterator

from components.artifacts import ModelShape
from components.flops import BYTES, checkpointed_bytes, parameters_by_part
from components.training.parallel.layout import ParallelLayout


def layouts(gpus: int, per_node: int) -> Iterator[ParallelLayout]:
    """Every layout of so many GPUs with parts of matrices and sequences inside a node, the least splitting of the model first."""
    found = [
        ParallelLayout(data=gpus // (inside * pipeline), tensor=tensor, sequence=inside // tensor, pipeline=pipeline)
        for inside in _divisors(gpus)
        if inside <= per_node
        for tensor in _divisors(inside)
        for pipeline in _divisors(gpus // inside)
    ]
    yield from sorted(found, key=lambda layout: (layout.replica, layout.sequence, layout.pipeline))


def memory_per_rank(
    layout: ParallelLayout,
    shape: ModelShape,
    *,
    micro_batch_size: int,
    sequence_length: int,
    precision: str = "bf16",
    checkpointing: str = "none",
) -> int:
    """Expected peak bytes of the fullest rank; for data parallelism alone it is the sum of `components.flops.training_memory`.

    The first stage holds the embedding and the activations of as many micro-batches as there are stages, the last one the
    head, the logits and one micro-batch. Weights and logits are shared out among the tensor ranks, and activations but for those
    of the norms.
    """
    tokens = micro_batch_size * sequence_length // layout.sequence
    parts = parameters_by_part(shape)
    layers = (parts["attention"] + parts["ffn"] + parts["norms"]) // layout.pipeline
    stage, width = dataclasses.replace(shape, n_layer=shape.n_layer // layout.pipeline), BYTES[precision]
    kept, again = checkpointed_bytes(stage, tokens, sequence_length, precision, layout.tensor, checkpointing)
    logits = width * tokens * shape.vocab_size // layout.tensor
    # The logits are gone before a layer is computed again
    last = kept + max(logits, again)
    if layout.pipeline == 1:
        stages = [(layers + parts["embedding"] + parts["head"], last)]
    else:
        stages = [(layers + parts["embedding"], layout.pipeline * kept + again), (layers + parts["head"], last)]
    return max(_bytes(-(-weights // layout.tensor), kept, layout, width) for weights, kept in stages)


def _bytes(weights: int, kept: int, layout: ParallelLayout, width: int) -> int:
    """Weights and gradients whole, master weights and the optimizer's moments shared by the replicas, and what is kept."""
    workers = layout.replicas * layout.sequence
    shared = -(-4 * weights // workers) - (-8 * weights // workers)
    return width * weights + 4 * weights + shared + kept


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
