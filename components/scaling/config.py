"""The settings of planning and fitting: a budget and a law, the accelerators, how to fit."""

import math
from dataclasses import dataclass, field

from components.errors import require
from components.file_names import names_files
from components.flops import SCALES
from components.hardware import GPUS
from components.scaling.laws.published import PLANNING

MIN_BUDGET, MAX_BUDGET = 1e10, 1e28
"""FLOPs that a plan is made for: from a few thousand tokens for the smallest decoder to far above any model trained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingConfig:
    """How much compute to spend, and by which law (DeepSeek LLM, arXiv 2401.02954, section 3)."""

    compute: float | None = 8.45e22
    """Budget in FLOPs, M·D: the default is that of the paper's 7B with 2 T tokens. None: that of the chosen shape and tokens."""
    law: str = field(default="deepseek", metadata=names_files(*PLANNING))
    """A published law with coefficients (`components.scaling.laws.published`), or the path or URI in a bucket of a law file
    (`.json`). Where it has no law of batch or learning rate, that of "deepseek" is used instead."""

    def __post_init__(self) -> None:
        known = self.law in PLANNING or self.law.endswith(".json")
        require(known, self, "law", self.law, f"{', '.join(PLANNING)}, or the path of a law file (.json)")
        if self.compute is not None:
            require_budget(self, self.compute)


@dataclass(frozen=True, kw_only=True, slots=True)
class Accelerators:
    """The accelerators that a plan is laid out on and priced for."""

    gpus: int
    """Number of accelerators."""
    gpu: str = "h100"
    """Their name in `components.hardware.GPUS`."""
    mfu: float = 0.4
    """Expected model FLOPs utilisation: the plan's C over the peak FLOPs of the accelerators in the same time."""
    price: float | None = None
    """Price of an accelerator for an hour, in any currency; None: the plan states no cost."""
    usable: float = 0.9
    """Share of the device memory that training may fill; the rest is for the runtime, communication and fragmentation."""

    def __post_init__(self) -> None:
        require(0 < self.gpus <= 2**17, self, "gpus", self.gpus, "an integer from 1 to 131072")
        require(self.gpu in GPUS, self, "gpu", self.gpu, ", ".join(GPUS))
        require(0 < self.mfu <= 1, self, "mfu", self.mfu, "a share above 0 and at most 1")
        priced = self.price is None or (math.isfinite(self.price) and self.price >= 0)
        require(priced, self, "price", self.price, "a number of at least 0, or None")
        require(0 < self.usable <= 1, self, "usable", self.usable, "a share above 0 and at most 1")

    @property
    def memory_bytes(self) -> float:
        """Memory of an accelerator that training may fill."""
        return self.usable * GPUS[self.gpu].memory_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """How to fit."""

    scale: str = "parameters"
    """What the column n counts, one of `components.scaling.laws.law.SCALES`: C, N and D follow from one another by it."""
    leave_out: int | None = None
    """Runs of the smallest D/N that the parametric fit excludes; None: the outliers among them."""
    rounds: int = 1000
    """Rounds of each bootstrap."""
    seed: int = 0
    """Seed of each bootstrap."""

    def __post_init__(self) -> None:
        require(self.scale in SCALES, self, "scale", self.scale, ", ".join(SCALES))
        require(self.leave_out is None or self.leave_out >= 0, self, "leave_out", self.leave_out, "0 or more, or None")
        require(100 <= self.rounds <= 100_000, self, "rounds", self.rounds, "an integer from 100 to 100000")
        require(self.seed >= 0, self, "seed", self.seed, "0 or more")


def require_budget(owner: object, compute: float) -> None:
    """Raise `ConfigError` unless `compute` is a number of FLOPs that a plan can be made for."""
    sane = math.isfinite(compute) and MIN_BUDGET <= compute <= MAX_BUDGET
    require(sane, owner, "compute", compute, f"a budget of {MIN_BUDGET:.0e} to {MAX_BUDGET:.0e} FLOPs, such as 1e20")
