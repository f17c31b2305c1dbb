"""How a training lies on its workers, and what must divide for it. Pure arithmetic: planning asks it too."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from components.artifacts import ModelShape
from components.errors import ConfigError, require

ZERO_STAGES = (1, 3)

DIRECTIONS = ("pipeline", "data", "sequence", "tensor")
"""From the slowest to the fastest in a worker's rank: the parts of a matrix, which talk most, lie on neighbouring workers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelLayout:
    """Workers in each direction; their product is the number of workers.

    All directions go together under ZeRO-1. ZeRO-3 goes with `data` and `sequence` alone: DeepSpeed's pipeline refuses it, and
    tensor parallelism has parted already what it parts.
    """

    data: int | None = None
    """Replicas, each of which sees its own part of the batch; None: as many as the workers make."""
    tensor: int = 1
    """Parts of every weight matrix, and of the vocabulary (Megatron-LM, arXiv 1909.08053, section 3)."""
    sequence: int = 1
    """Parts of every sequence, exchanged for parts of the heads in attention (DeepSpeed-Ulysses, arXiv 2309.14509, section 3)."""
    pipeline: int = 1
    """Stages of consecutive layers, worked through one micro-batch forward, one backward (arXiv 2104.04473, section 2.2)."""
    zero_stage: int = 1
    """ZeRO (arXiv 1910.02054): 1 parts the optimizer's state and fp32 weights between the workers that hold the same weights
    (paper, section 2.4), 3 the weights and gradients of the passes too: less memory, more communication."""

    def __post_init__(self) -> None:
        for name in DIRECTIONS:
            value = getattr(self, name)
            require(value is None or value > 0, self, name, value, "a positive integer")
        require(self.zero_stage in ZERO_STAGES, self, "zero_stage", self.zero_stage, "1 or 3")
        parted = self.tensor * self.pipeline > 1
        require(self.zero_stage == 1 or not parted, self, "zero_stage", self.zero_stage, "1 with tensor or pipeline above 1")

    @property
    def replica(self) -> int:
        """Workers of one replica."""
        return self.tensor * self.sequence * self.pipeline

    @property
    def replicas(self) -> int:
        """Replicas; 1 where the workers are not known."""
        return self.data or 1

    @property
    def workers(self) -> int:
        """All workers."""
        return self.replicas * self.replica

    def over(self, workers: int) -> "ParallelLayout":
        """The same with `data` filled in. Raises `ConfigError` where so many workers do not make whole replicas."""
        if workers % self.replica or (self.data is not None and self.workers != workers):
            wanted = f"{self.workers}" if self.data else f"a multiple of {self.replica}"
            raise ConfigError(f"{workers} workers for {self.in_words()}; allowed: {wanted}")
        return replace(self, data=workers // self.replica)

    def misfit(self, shape: ModelShape, sequence_length: int | None = None) -> str:
        """Why a model, and sequences of that many tokens, cannot be laid out like this, with what could; empty where they can."""
        for name, counts in self._must_divide(shape, sequence_length):
            value, fits = getattr(self, name), math.gcd(*counts.values())
            if fits % value:
                allowed = ", ".join(str(number) for number in range(1, fits + 1) if fits % number == 0)
                what = ", ".join(f"{count} {unit}" for unit, count in counts.items())
                return f"{name} is {value}; allowed: a divisor of {what}: {allowed}"
        return ""

    def require_fit(self, shape: ModelShape, sequence_length: int | None = None) -> None:
        """Raise `ConfigError` where `misfit` finds one."""
        if misfit := self.misfit(shape, sequence_length):
            raise ConfigError(f"ParallelLayout.{misfit}")

    def in_words(self) -> str:
        """The directions with their workers."""
        named = itertools.chain([] if self.data is None else ["data"], ["tensor", "sequence", "pipeline"])
        return " x ".join(f"{name} {getattr(self, name)}" for name in named)

    def place(self, rank: int) -> dict[str, int]:
        """Where a worker is in each direction."""
        place = {}
        for name in reversed(DIRECTIONS):
            rank, place[name] = divmod(rank, getattr(self, name) or 1)
        return place

    def groups(self, *directions: str) -> list[list[int]]:
        """Ranks that differ in those directions alone: every rank is in one of them."""
        ranks: dict[tuple[int, ...], list[int]] = {}
        for rank in range(self.workers):
            place = self.place(rank)
            ranks.setdefault(tuple(place[name] for name in DIRECTIONS if name not in directions), []).append(rank)
        return list(ranks.values())

    def _must_divide(self, shape: ModelShape, sequence_length: int | None) -> Iterator[tuple[str, dict[str, int]]]:
        heads = {"heads": shape.n_head, "key and value heads": shape.n_kv_head}
        yield "tensor", {**heads, "FFN columns": shape.d_ffn, "vocabulary entries": shape.vocab_size}
        here = {f"{name} of a tensor part" if self.tensor > 1 else name: n // self.tensor for name, n in heads.items()}
        yield "sequence", {**here, **({} if sequence_length is None else {"tokens of a sequence": sequence_length})}
        yield "pipeline", {"layers": shape.n_layer}
