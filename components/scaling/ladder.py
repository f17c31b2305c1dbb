"""A ladder of small trainings that laws are fitted to: budgets, and at each budget allocations to models of several sizes.

IsoFLOP profiles as in DeepSeek LLM, arXiv 2401.02954, section 3.2. Pure arithmetic.
"""

import math
from dataclasses import dataclass

from components.artifacts import ModelShape, Plan, Point
from components.errors import require
from components.flops import non_embedding_flops_per_token, training_memory_bytes
from components.scaling.config import Choices
from components.scaling.law import Law, scale_of

HEAD = 16
"""Width of an attention head, about: models of a ladder are narrower than a usual head."""

REFERENCE_WIDTH = 64
"""d_model at which `Ladder.learning_rate` holds."""

LEAST_STEPS = 50
"""Of a point: in fewer, the multi-step schedule has hardly a stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One budget and its allocations."""

    compute: float
    """FLOPs, M·D."""
    widths: tuple[int, ...]
    """d_model of the models that it is spent on, one training each; about seven, the optimum in their middle."""
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
    """Profiles over one family of models, whose hyper-parameters depend on the width alone, so that trainings share trunks."""

    profiles: tuple[Profile, ...]
    """Rising budgets; a law needs three."""
    n_layer: int
    """Layers of every model: a family that grows in width alone has no jumps in its proportions."""
    vocab_size: int
    """Of the tokenizer; M does not count embeddings, so they should be small."""
    sequence_length: int
    """Tokens in a sequence; also the context."""
    batch_size: int
    """Sequences in a batch."""
    learning_rate: float
    """Maximum at a width of 64; it falls as 1 / width (muP, arXiv 2203.03466, table 3: Adam's rate of hidden weights)."""
    init_std: float = 0.02
    """Standard deviation of the initial weights."""
    warmup_steps: int = 20
    """Steps of linear warm-up, the same in every training."""
    target: float = 8.0
    """Budget of the training that is predicted, as a multiple of the largest budget fitted."""

    def __post_init__(self) -> None:
        budgets = [profile.compute for profile in self.profiles]
        require(len(budgets) >= 3 and budgets == sorted(set(budgets)), self, "profiles", budgets, "three or more rising budgets")
        for name in ("n_layer", "vocab_size", "sequence_length", "batch_size", "learning_rate", "init_std"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive number")
        require(self.warmup_steps >= 0, self, "warmup_steps", self.warmup_steps, "0 or more")
        require(self.target > 1, self, "target", self.target, "a multiple above 1")
        for profile in self.profiles:
            steps = self._steps(profile.compute, self.shape(profile.widths[-1]))
            least = max(LEAST_STEPS, self.warmup_steps)
            require(steps >= least, self, "profiles", f"{profile.compute:.3g} FLOPs", f"budgets for at least {least} steps")

    def shape(self, width: int) -> ModelShape:
        """The model of a width: FFN of 8/3 of it, rounded to 8; heads of about 16."""
        heads = max(1, math.floor(width / HEAD + 0.5))
        heads = next(count for count in range(heads, 0, -1) if width % (2 * count) == 0)
        return ModelShape(
            n_layer=self.n_layer,
            d_model=width,
            n_head=heads,
            n_kv_head=heads,
            d_ffn=8 * max(1, math.floor(width / 3 + 0.5)),
            vocab_size=self.vocab_size,
            context=self.sequence_length,
        )

    def points(self) -> tuple[Point, ...]:
        """Every training of the ladder."""
        return tuple(
            Point(budget=profile.compute, plan=self._plan(profile.compute, width), seed=seed)
            for profile in self.profiles
            for seed in range(profile.seeds)
            for width in profile.widths
        )

    def extrapolated(self, law: Law) -> tuple[float, Choices]:
        """The target's budget, and the model of the family that is nearest to the law's optimum there, with its tokens."""
        compute = self.target * self.profiles[-1].compute
        wanted = law.model.at(compute)
        shapes = [self.shape(width) for width in range(8, 4096, 8)]
        shape = min(shapes, key=lambda tried: abs(math.log(scale_of(tried, self.sequence_length, law.scale) / wanted)))
        return compute, Choices(
            shape=shape,
            tokens=self._steps(compute, shape) * self.batch_size * self.sequence_length,
            batch_size=self.batch_size,
            sequence_length=self.sequence_length,
            learning_rate=self._learning_rate(shape.d_model),
            init_std=self.init_std,
            warmup_steps=self.warmup_steps,
            micro_batch_size=self.batch_size,
        )

    def _plan(self, compute: float, width: int) -> Plan:
        shape = self.shape(width)
        steps = self._steps(compute, shape)
        tokens = steps * self.batch_size * self.sequence_length
        return Plan(
            shape=shape,
            tokens=tokens,
            batch_size=self.batch_size,
            sequence_length=self.sequence_length,
            steps=steps,
            learning_rate=self._learning_rate(width),
            init_std=self.init_std,
            warmup_steps=self.warmup_steps,
            compute=float(non_embedding_flops_per_token(shape, self.sequence_length) * tokens),
            memory_bytes=training_memory_bytes(
                shape, micro_batch_size=self.batch_size, sequence_length=self.sequence_length, precision="fp32"
            ),
            law={},
        )

    def _steps(self, compute: float, shape: ModelShape) -> int:
        scale = non_embedding_flops_per_token(shape, self.sequence_length)
        return round(compute / scale / (self.batch_size * self.sequence_length))

    def _learning_rate(self, width: int) -> float:
        return self.learning_rate * REFERENCE_WIDTH / width
