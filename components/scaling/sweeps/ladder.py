"""A ladder of small training runs that laws are fitted to: budgets, and at each budget allocations to models of several sizes.

IsoFLOP profiles as in DeepSeek LLM, arXiv 2401.02954, section 3.2. Pure arithmetic.
"""

import math
from dataclasses import dataclass, replace

from components.artifacts import Point
from components.errors import require
from components.scaling.laws.law import Law
from components.scaling.sweeps.family import Family
from components.training.config import Choices, TrainingConfig

REFERENCE_WIDTH = 64
"""d_model at which `Ladder.learning_rate` holds."""

FIRST_GUESS = 0.45
"""M_opt over C^0.5 at some 1e12 FLOPs on the text of a Python environment; DeepSeek's law (section 3.2) says 0.34 there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """An IsoFLOP profile: one budget, and the models that it is spent on."""

    compute: float
    """FLOPs, M·D."""
    widths: tuple[int, ...]
    """d_model of the models that it is spent on, one training run each; about seven, the optimum in their middle."""
    seeds: int = 1
    """Trainings of each model, with the seeds 0, 1, …"""

    def __post_init__(self) -> None:
        require(math.isfinite(self.compute) and self.compute > 0, self, "compute", self.compute, "a positive number of FLOPs")
        rising = bool(self.widths) and list(self.widths) == sorted(set(self.widths))
        require(rising and self.widths[0] >= 8, self, "widths", self.widths, "rising widths of at least 8")
        require(all(width % 4 == 0 for width in self.widths), self, "widths", self.widths, "multiples of 4")
        require(self.seeds > 0, self, "seeds", self.seeds, "a positive integer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ladder:
    """IsoFLOP profiles of one family of models. Hyper-parameters depend on the width alone, so that trainings share trunks."""

    rungs: tuple[Rung, ...]
    """Rising budgets; a law needs three."""
    family: Family
    """The models."""
    batch_size: int
    """Sequences in a batch."""
    learning_rate: float
    """Maximum at a width of 64; it falls as 1 / width (muP, arXiv 2203.03466, table 3: Adam's rate of hidden weights)."""
    target: float | None = 8.0
    """Budget of the training that is predicted, as a multiple of the largest budget fitted; None: none is."""

    def __post_init__(self) -> None:
        budgets = [rung.compute for rung in self.rungs]
        require(len(budgets) >= 3 and budgets == sorted(set(budgets)), self, "rungs", budgets, "three or more rising budgets")
        for name in ("batch_size", "learning_rate"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive number")
        require(self.target is None or self.target > 1, self, "target", self.target, "a multiple above 1, or None")
        for rung in self.rungs:
            self.family.steps(rung.compute, rung.widths[-1], self.batch_size)

    @property
    def target_compute(self) -> float:
        """FLOPs, M·D, of the training that is predicted. Raises `ConfigError`: the ladder has no target."""
        require(self.target is not None, self, "target", self.target, "a multiple above 1, for a training run to be predicted")
        return (self.target or 1.0) * self.rungs[-1].compute

    def in_vocabulary(self, vocab_size: int) -> "Ladder":
        """The same ladder with another vocabulary."""
        return replace(self, family=replace(self.family, vocab_size=vocab_size))

    def points(self) -> tuple[Point, ...]:
        """Every training run of the ladder."""
        return tuple(
            Point(
                budget=rung.compute,
                plan=self.family.plan(rung.compute, width, batch_size=self.batch_size, learning_rate=self._learning_rate(width)),
                seed=seed,
            )
            for rung in self.rungs
            for seed in range(rung.seeds)
            for width in rung.widths
        )

    def extrapolated(self, law: Law) -> tuple[float, Choices]:
        """The target's budget, and the model of the family that is nearest to the law's optimum there, with its tokens.

        Raises:
            ConfigError: the ladder has no target.
        """
        compute = self.target_compute
        width = self.family.nearest_width(law.model.at(compute))
        plan = self.family.plan(compute, width, batch_size=self.batch_size, learning_rate=self._learning_rate(width))
        return compute, Choices(
            shape=plan.shape,
            tokens=plan.tokens,
            batch_size=plan.batch_size,
            sequence_length=plan.sequence_length,
            learning_rate=plan.learning_rate,
            init_std=plan.init_std,
            warmup_steps=plan.warmup_steps,
            training=TrainingConfig(micro_batch_tokens=plan.batch_size * plan.sequence_length),
        )

    def _learning_rate(self, width: int) -> float:
        return self.learning_rate * REFERENCE_WIDTH / width


def ladder_up_to(compute: float, *, like: Ladder) -> Ladder:
    """Four budgets that double up to `compute`, each spent on seven models around a first guess of the optimum.

    Family, batch and rate are those of `like`. Raises `ConfigError` for a budget too small for them.
    """
    rungs = []
    for budget in (compute / 8, compute / 4, compute / 2, compute):
        guess = FIRST_GUESS * budget**0.5
        widths = {like.family.nearest_width(guess * 4 ** (step / 3)) for step in range(-3, 4)}
        rungs.append(Rung(compute=budget, widths=tuple(sorted(widths))))
    return replace(like, rungs=tuple(rungs), target=None)
