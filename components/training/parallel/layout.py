"""How a training is divided among workers, and what must be divisible for it. Pure arithmetic: planning uses it too."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from components.artifacts import ModelShape
from components.errors import ConfigError, require

ZERO_STAGES = (1, 3)

AXES = ("pipeline", "data", "sequence", "tensor")
"""From the slowest to the fastest in a worker's rank: shards of a matrix, which communicate most, are on neighbouring workers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelLayout:
    """Workers along each axis; their product is the number of workers.

    ZeRO-1 combines with all axes. ZeRO-3 combines with `data` and `sequence` alone: DeepSpeed's pipeline refuses it, and tensor
    parallelism has already sharded what it would shard.
    """

    data: int | None = None
    """Replicas, each of which sees its own share of the batch; None: as many as the workers make."""
    tensor: int = 1
    """Shards of every weight matrix, and of the vocabulary (Megatron-LM, arXiv 1909.08053, section 3)."""
    sequence: int = 1
    """Shards of every sequence, exchanged for some of the heads in attention (DeepSpeed-Ulysses, arXiv 2309.14509, section 3)."""
    pipeline: int = 1
    """Stages of consecutive layers, worked through one micro-batch forward, one backward (arXiv 2104.04473, section 2.2)."""
    zero_stage: int = 1
    """ZeRO (arXiv 1910.02054): 1 shards the optimizer's state and fp32 weights among the workers that hold the same weights
    (paper, section 2.4), 3 the weights and gradients of the passes too: less memory, more communication."""

    def __post_init__(self) -> None:
        for name in AXES:
            value = getattr(self, name)
            require(value is None or value > 0, self, name, value, "a positive integer")
        require(self.zero_stage in ZERO_STAGES, self, "zero_stage", self.zero_stage, "1 or 3")
        sharded = self.tensor * self.pipeline > 1
        require(self.zero_stage == 1 or not sharded, self, "zero_stage", self.zero_stage, "1 with tensor or pipeline above 1")

    @property
    def workers_per_replica(self) -> int:
        """Workers that hold one copy of the model."""
        return self.tensor * self.sequence * self.pipeline

    @property
    def replicas(self) -> int:
        """Replicas; 1 where the workers are not known."""
        return self.data or 1

    @property
    def workers(self) -> int:
        """All workers."""
        return self.replicas * self.workers_per_replica

    def over(self, workers: int) -> "ParallelLayout":
        """This layout with `data` filled in. Raises `ConfigError` unless the workers make whole replicas."""
        if workers % self.workers_per_replica or (self.data is not None and self.workers != workers):
            wanted = f"{self.workers}" if self.data else f"a multiple of {self.workers_per_replica}"
            raise ConfigError(f"{workers} workers for {self.in_words()}; allowed: {wanted}")
        return replace(self, data=workers // self.workers_per_replica)

    def misfit(self, shape: ModelShape, sequence_length: int | None = None) -> str:
        """Why this layout does not divide a model and sequences of that many tokens, and what would; empty where it does."""
        for name, counts in self._must_divide(shape, sequence_length):
            value, fits = getattr(self, name), math.gcd(*counts.values())
            if fits % value:
                allowed = ", ".join(str(number) for number in range(1, fits + 1) if fits % number == 0)
                what = ", ".join(f"{count} {unit}" for unit, count in counts.items())
                return f"{name} is {value}; allowed: a divisor of {what}: {allowed}"
        return ""

    def require_fit(self, shape: ModelShape, sequence_length: int | None = None) -> None:
        """Raise `ConfigError` with the `misfit`, where there is one."""
        if misfit := self.misfit(shape, sequence_length):
            raise ConfigError(f"ParallelLayout.{misfit}")

    def in_words(self) -> str:
        """The axes with their workers."""
        named = itertools.chain([] if self.data is None else ["data"], ["tensor", "sequence", "pipeline"])
        return " x ".join(f"{name} {getattr(self, name)}" for name in named)

    def coordinates(self, rank: int) -> dict[str, int]:
        """The worker's rank along each axis."""
        coordinates = {}
        for name in reversed(AXES):
            rank, coordinates[name] = divmod(rank, getattr(self, name) or 1)
        return coordinates

    def groups(self, *axes: str) -> list[list[int]]:
        """Groups of ranks that differ along those axes alone; every rank is in one group."""
        ranks: dict[tuple[int, ...], list[int]] = {}
        for rank in range(self.workers):
            coordinates = self.coordinates(rank)
            ranks.setdefault(tuple(coordinates[name] for name in AXES if name not in axes), []).append(rank)
        return list(ranks.values())

    def _must_divide(self, shape: ModelShape, sequence_length: int | None) -> Iterator[tuple[str, dict[str, int]]]:
        heads = {"heads": shape.n_head, "key and value heads": shape.n_kv_head}
        yield "tensor", {**heads, "FFN columns": shape.d_ffn, "vocabulary entries": shape.vocab_size}
        here = {f"{name} of a tensor part" if self.tensor > 1 else name: n // self.tensor for name, n in heads.items()}
        yield "sequence", {**here, **({} if sequence_length is None else {"tokens of a sequence": sequence_length})}
        yield "pipeline", {"layers": shape.n_layer}
