"""The layouts of a number of GPUs, and the memory of a rank in each."""

import dataclasses
from collections.abc import Iterator

from components.artifacts import ModelShape
from components.flops import BYTES, checkpointed_bytes, parameters_by_component
from components.training.config import TrainingConfig
from components.training.parallel.layout import ParallelLayout


def layouts(gpus: int, per_node: int) -> Iterator[ParallelLayout]:
    """Every layout of `gpus` with tensor and sequence parallelism inside a node, those that divide the model least first."""
    candidates = [
        ParallelLayout(data=gpus // (inside * pipeline), tensor=tensor, sequence=inside // tensor, pipeline=pipeline)
        for inside in _divisors(gpus)
        if inside <= per_node
        for tensor in _divisors(inside)
        for pipeline in _divisors(gpus // inside)
    ]
    yield from sorted(candidates, key=lambda layout: (layout.workers_per_replica, layout.sequence, layout.pipeline))


def memory_per_rank(
    layout: ParallelLayout,
    shape: ModelShape,
    *,
    micro_batch_size: int,
    sequence_length: int,
    precision: str = "bf16",
    checkpointing: str = "none",
) -> int:
    """Expected peak bytes of the fullest rank; with data parallelism alone, the sum of `components.flops.training_memory`.

    The first stage holds the embedding and the activations of as many micro-batches as there are stages; the last one the
    head, the logits and the activations of one. Weights, logits, and activations except those of the norms are divided among
    the tensor ranks.
    """
    tokens = micro_batch_size * sequence_length // layout.sequence
    counts = parameters_by_component(shape)
    layers = (counts["attention"] + counts["ffn"] + counts["norms"]) // layout.pipeline
    stage, width = dataclasses.replace(shape, n_layer=shape.n_layer // layout.pipeline), BYTES[precision]
    kept, recomputed = checkpointed_bytes(stage, tokens, sequence_length, precision, layout.tensor, checkpointing)
    logits = width * tokens * shape.vocab_size // layout.tensor
    # The logits are freed before a layer is recomputed
    last = kept + max(logits, recomputed)
    if layout.pipeline == 1:
        stages = [(layers + counts["embedding"] + counts["head"], last)]
    else:
        stages = [(layers + counts["embedding"], layout.pipeline * kept + recomputed), (layers + counts["head"], last)]
    return max(_bytes(-(-weights // layout.tensor), kept, layout, width) for weights, kept in stages)


def planned_memory(
    training: TrainingConfig, layout: ParallelLayout, shape: ModelShape, batch_size: int, sequence_length: int
) -> int:
    """`memory_per_rank` of a training run in another layout than its own."""
    return memory_per_rank(
        layout,
        shape,
        micro_batch_size=min(training.sequences(sequence_length), batch_size),
        sequence_length=sequence_length,
        precision=training.planned_precision,
        checkpointing=training.activation_checkpointing,
    )


def _bytes(weights: int, kept: int, layout: ParallelLayout, width: int) -> int:
    """Weights and gradients in full, master weights and the optimizer's moments divided among the replicas, and what is kept."""
    workers = layout.replicas * layout.sequence
    optimizer_state = -(-4 * weights // workers) - (-8 * weights // workers)
    return width * weights + 4 * weights + optimizer_state + kept


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
