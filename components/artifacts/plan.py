"""The plan of a training run for a compute budget, and the training runs of a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from components.artifacts.json_file import JsonFile
from components.artifacts.shape import ModelShape

Figure = Literal["loss", "bits_per_byte"]
"""The figures that a law can predict: training loss in nats per token, or bits per byte of held-out text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """A law's prediction of the final loss of a training run."""

    loss: float
    """Predicted value of the figure that `Plan.predicted_figure` names."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan(JsonFile):
    """Model shape, tokens, batch size and learning rate of a pretraining, chosen for a compute budget."""

    NAME: ClassVar[str] = "plan.json"
    STEP: ClassVar[str] = "the step scaling"

    shape: ModelShape
    tokens: int
    """Training tokens."""
    batch_size: int
    """Sequences per batch."""
    sequence_length: int
    """Tokens per sequence."""
    steps: int
    learning_rate: float
    """Maximum learning rate."""
    init_std: float
    """Standard deviation of the initial weights (paper, section 2.3: 0.006)."""
    warmup_steps: int
    compute: float
    """Compute in FLOPs: M·D of the chosen shape and tokens, with the paper's M (section 3.1)."""
    memory_bytes: int
    """Expected peak memory of one worker, in bytes."""
    law: Mapping[str, float]
    """The values that the scaling law recommends for this budget: model scale (such as non_embedding_flops_per_token), tokens,
    batch_tokens, learning_rate. The plan's own values may differ."""
    notes: tuple[str, ...] = ()
    """Warnings for the reader, such as that the law extrapolates."""
    flops_per_token: Mapping[str, float] = field(default_factory=dict)
    """FLOPs per token by three estimates: M (non_embedding), 6N without embeddings (six_n) and with them
    (six_n_with_embeddings), and the difference of each 6N from M."""
    prediction: Prediction | None = None
    """Prediction of the training's final figure; None if the law makes no prediction."""
    predicted_figure: Figure = "loss"
    """The figure that `prediction` is about: "loss" or "bits_per_byte"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One training run of a sweep."""

    budget: float
    """Compute budget in FLOPs; the compute of `plan` differs from it by less than one batch."""
    plan: Plan
    seed: int
    """Random seed of the initial weights and of the data order."""
