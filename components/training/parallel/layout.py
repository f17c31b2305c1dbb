"""The layout of a training run: workers along each axis, and whether a model can be divided among them. Pure arithmetic."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from components.artifacts import ModelShape
from components.errors import ConfigError, require

ZERO_STAGES = (1, 3)

AXES = ("pipeline", "data", "sequence", "tensor")
"""Axes in the order of ranks, from the slowest-varying to the fastest: tensor shards, which communicate most, are neighbours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelLayout:
    """Number of workers along each axis; their product is the number of all workers.

    ZeRO-1 can be combined with all axes, ZeRO-3 only with `data` and `sequence`: DeepSpeed's pipeline does not support it, and
    tensor parallelism already shards the weights.
    """

    data: int | None = None
    """Number of replicas, each with its own share of the batch; None: derived from the number of workers."""
    tensor: int = 1
    """Number of shards of each weight matrix and of the vocabulary (Megatron-LM, arXiv 1909.08053, section 3)."""
    sequence: int = 1
    """Number of shards of each sequence. For attention, workers exchange tokens so that each has whole sequences for some of
    the heads (DeepSpeed-Ulysses, arXiv 2309.14509, section 3)."""
    pipeline: int = 1
    """Number of stages of consecutive layers, run with the 1F1B schedule (arXiv 2104.04473, section 2.2)."""
    zero_stage: int = 1
    """ZeRO stage (arXiv 1910.02054). 1 shards the optimizer state and fp32 weights among the workers with the same weights
    (paper, section 2.4); 3 also shards the weights and gradients of the forward and backward pass: less memory, more
    communication."""

    def __post_init__(self) -> None:
        for name in AXES:
            value = getattr(self, name)
            require(value is None or value > 0, self, name, value, "a positive integer")
        require(self.zero_stage in ZERO_STAGES, self, "zero_stage", self.zero_stage, "1 or 3")
        sharded = self.tensor * self.pipeline > 1
        require(self.zero_stage == 1 or not sharded, self, "zero_stage", self.zero_stage, "1 with tensor or pipeline above 1")

    @property
    def workers_per_replica(self) -> int:
        """Number of workers that together hold one copy of the model."""
        return self.tensor * self.sequence * self.pipeline

    @property
    def replicas(self) -> int:
        """Number of replicas; 1 if `data` is None."""
        return self.data or 1

    @property
    def workers(self) -> int:
        """Number of all workers."""
        return self.replicas * self.workers_per_replica

    def over(self, workers: int) -> "ParallelLayout":
        """This layout with `data` set for that number of workers. Raises `ConfigError` unless they form whole replicas."""
        if workers % self.workers_per_replica or (self.data is not None and self.workers != workers):
            wanted = f"{self.workers}" if self.data else f"a multiple of {self.workers_per_replica}"
            raise ConfigError(f"{workers} workers with the layout {self.in_words()}; allowed: {wanted}")
        return replace(self, data=workers // self.workers_per_replica)

    def misfit(self, shape: ModelShape, sequence_length: int | None = None) -> str:
        """Why a model of that shape, or sequences of that many tokens, cannot be divided by this layout; empty if they can."""
        for name, counts in self._must_divide(shape, sequence_length):
            value, fits = getattr(self, name), math.gcd(*counts.values())
            if fits % value:
                allowed = ", ".join(str(number) for number in range(1, fits + 1) if fits % number == 0)
                what = ", ".join(f"{count} {unit}" for unit, count in counts.items())
                return f"{name} is {value}; allowed: a divisor of {what}: {allowed}"
        return ""

    def require_fit(self, shape: ModelShape, sequence_length: int | None = None) -> None:
        """Raise `ConfigError` with the reason if a model of that shape, or its sequences, cannot be divided by this layout."""
        if misfit := self.misfit(shape, sequence_length):
            raise ConfigError(f"ParallelLayout.{misfit}")

    def in_words(self) -> str:
        """The number of workers along each axis, for messages."""
        named = itertools.chain([] if self.data is None else ["data"], ["tensor", "sequence", "pipeline"])
        return " x ".join(f"{name} {getattr(self, name)}" for name in named)

    def coordinates(self, rank: int) -> dict[str, int]:
        """The rank of a worker along each axis, by axis."""
        coordinates = {}
        for name in reversed(AXES):
            rank, coordinates[name] = divmod(rank, getattr(self, name) or 1)
        return coordinates

    def groups(self, *axes: str) -> list[list[int]]:
        """Groups of ranks that differ only along these axes; every rank is in one group."""
        ranks: dict[tuple[int, ...], list[int]] = {}
        for rank in range(self.workers):
            coordinates = self.coordinates(rank)
            ranks.setdefault(tuple(coordinates[name] for name in AXES if name not in axes), []).append(rank)
        return list(ranks.values())

    def _must_divide(self, shape: ModelShape, sequence_length: int | None) -> Iterator[tuple[str, dict[str, int]]]:
        heads = {"heads": shape.n_head, "key and value heads": shape.n_kv_head}
        yield "tensor", {**heads, "FFN columns": shape.d_ffn, "vocabulary entries": shape.vocab_size}
        here = {f"{name} per tensor shard" if self.tensor > 1 else name: n // self.tensor for name, n in heads.items()}
        yield "sequence", {**here, **({} if sequence_length is None else {"tokens of a sequence": sequence_length})}
        yield "pipeline", {"layers": shape.n_layer}
