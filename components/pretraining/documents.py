"""Computes which documents a step of pretraining trained on."""

from collections.abc import Iterator

from components.artifacts import TRAIN
from components.pretraining.packed import PackedBatches
from components.training.incidents import SeenSequence


def documents_of(batches: PackedBatches, step: int) -> Iterator[SeenSequence]:
    """The sequences of the global batch of `step` (from 0)."""
    size, length = batches.batch_size, batches.sequence_length
    for domain, start in batches.window_starts(step * size, size):
        yield SeenSequence(domain, start, tuple(batches.reader.documents_at(TRAIN, domain, start, length + 1)))
