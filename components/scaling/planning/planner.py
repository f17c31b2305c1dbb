"""Turns a compute budget into a plan: the values that the scaling law recommends, except those that the user has chosen."""

import dataclasses
from dataclasses import dataclass

from components.artifacts import ModelShape, Plan
from components.errors import ConfigError
from components.flops import SCALES, non_embedding_flops_per_token, scale_of, six_n
from components.scaling.config import ScalingConfig, require_budget
from components.scaling.laws.law import Law
from components.scaling.laws.prediction import predict
from components.scaling.laws.published import law_values
from components.scaling.planning.layouts import planned_memory
from components.scaling.planning.notes import WARMUP_SHARE, budget_notes
from components.scaling.planning.shapes import nearest_shape
from components.training.config import Choices
from components.training.parallel.layout import ParallelLayout

SEQUENCE_LENGTH = 4096
"""Tokens (paper, table 2)."""

INIT_STD = 0.006
"""Paper, section 2.3."""

WARMUP_STEPS = 2000
"""Paper, section 2.3."""

MIN_STEPS = 100
"""Minimum number of steps. If the law's batch size would give fewer, it is reduced, so that each tenth of the multi-step schedule
has at least 10 steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planner:
    """Plans a training run for a compute budget by a scaling law.

    Raises `ConfigError` if the chosen shape's vocabulary size differs from the tokenizer's.
    """

    config: ScalingConfig
    """The compute budget, and the name of the law."""
    choices: Choices
    """Values fixed by the user; the law sets the rest."""
    vocab_size: int
    """Rows of the embedding, as given by the tokenizer."""
    law: Law
    """The law that `config.law` names, or one read from an artifact."""

    def __post_init__(self) -> None:
        shape = self.choices.shape
        if shape is not None and shape.vocab_size != self.vocab_size:
            raise ConfigError(
                f"the chosen shape has a vocabulary of {shape.vocab_size}; allowed: the tokenizer's {self.vocab_size}"
            )

    def plan(self, layout: ParallelLayout | None = None) -> Plan:
        """The plan. Its shape and batch size are divisible by `layout`; if None, only the shape is, by the layout of `choices`.

        Raises:
            ConfigError: a budget that is outside the supported range or less than a batch, a law that cannot plan, a warm-up that
                is longer than the training run, or a layout that fits no candidate shape.
        """
        recommended, training = law_values(self.law, self.budget), self.choices.training
        parallel = layout or training.layout.over(training.workers)

        # Shape, batch and tokens, in this order: each depends on those before
        shape, length = self._shape(recommended, parallel), self.sequence_length
        scale = scale_of(shape, length, self.law.scale)
        wanted_tokens = self.choices.tokens or self.budget / (SCALES[self.law.scale] * scale)
        batch_size = self._batch_size(recommended["batch_tokens"], wanted_tokens, layout.replicas if layout else 1)
        steps = _steps(wanted_tokens, batch_size, length)
        tokens = steps * batch_size * length

        plan = Plan(
            shape=shape,
            tokens=tokens,
            batch_size=batch_size,
            sequence_length=length,
            steps=steps,
            learning_rate=self.choices.learning_rate or recommended["learning_rate"],
            init_std=self.choices.init_std or INIT_STD,
            warmup_steps=_warmup_steps(self.choices.warmup_steps, steps),
            compute=float(non_embedding_flops_per_token(shape, length) * tokens),
            memory_bytes=self._memory_bytes(parallel, shape, batch_size),
            law=recommended,
            flops_per_token=flops_per_token(shape, length),
            prediction=predict(self.law.loss, scale, tokens) if self.law.loss else None,
            predicted_figure=self.law.figure,
        )
        return dataclasses.replace(plan, notes=budget_notes(plan, self.law, self.config.compute))

    @property
    def sequence_length(self) -> int:
        """Tokens per sequence: the chosen value, else the context length of the chosen shape, else the paper's."""
        shape = self.choices.shape
        return self.choices.sequence_length or (shape.context if shape else SEQUENCE_LENGTH)

    @property
    def budget(self) -> float:
        """FLOPs as the law counts them: the cost of the chosen shape and tokens if both are given, else the configured budget.

        Raises:
            ConfigError: neither is given, or the budget is outside the supported range.
        """
        shape, tokens, scale = self.choices.shape, self.choices.tokens, self.law.scale
        if shape is not None and tokens is not None:
            budget = SCALES[scale] * scale_of(shape, self.sequence_length, scale) * tokens
            require_budget(self.config, budget)
            return budget
        if self.config.compute is None:
            raise ConfigError("ScalingConfig.compute is None; allowed: a budget in FLOPs, or None with a chosen shape and tokens")
        return self.config.compute

    def _shape(self, recommended: dict[str, float], layout: ParallelLayout) -> ModelShape:
        if self.choices.shape is not None:
            return self.choices.shape
        scale, tokens = self.law.scale, self.choices.tokens
        return nearest_shape(
            self.budget / SCALES[scale] / tokens if tokens else recommended[scale],
            vocab_size=self.vocab_size,
            sequence_length=self.sequence_length,
            scale=scale,
            layout=layout,
        )

    def _batch_size(self, batch_tokens: float, tokens: float, replicas: int) -> int:
        """Sequences per batch: the chosen number unchanged, else the law's.

        The law's is reduced if it would leave fewer than `MIN_STEPS` steps, and rounded to a multiple of the replicas.
        """
        sequences = min(batch_tokens, tokens / MIN_STEPS) / self.sequence_length
        return self.choices.batch_size or replicas * max(1, round(sequences / replicas))

    def _memory_bytes(self, layout: ParallelLayout, shape: ModelShape, batch_size: int) -> int:
        return planned_memory(self.choices.training, layout, shape, batch_size, self.sequence_length)


def flops_per_token(shape: ModelShape, sequence_length: int) -> dict[str, float]:
    """Training FLOPs per token counted in three ways, and each 6N estimate divided by the paper's M (section 3.1, table 3)."""
    scale = float(non_embedding_flops_per_token(shape, sequence_length))
    six_n_no_embeddings, with_embeddings = float(six_n(shape)), float(six_n(shape, with_embeddings=True))
    return {
        "non_embedding": scale,
        "six_n": six_n_no_embeddings,
        "six_n_with_embeddings": with_embeddings,
        "six_n_ratio": six_n_no_embeddings / scale,
        "six_n_with_embeddings_ratio": with_embeddings / scale,
    }


def _steps(tokens: float, batch_size: int, length: int) -> int:
    steps = round(tokens / (batch_size * length))
    if steps < 1:
        raise ConfigError(
            f"{tokens:.0f} tokens are less than one batch of {batch_size} x {length}; increase the budget or the number of "
            "tokens, or reduce the batch size, the sequence length or the model"
        )
    return steps


def _warmup_steps(chosen: int | None, steps: int) -> int:
    if chosen is not None and chosen > steps:
        raise ConfigError(f"warmup_steps is {chosen}; allowed: at most the {steps} steps of the plan")
    return min(WARMUP_STEPS, int(WARMUP_SHARE * steps)) if chosen is None else chosen
