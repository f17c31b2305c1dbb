"""What a compute budget buys, and the trainings of a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from components.artifacts.json_file import JsonFile
from components.artifacts.shape import ModelShape

Figure = Literal["loss", "bits_per_byte"]
"""What a law can predict: the training loss in nats per token, or bits per byte of held-out text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a law expects a training to end with."""

    loss: float
    """Of the plan's `predicted_figure`."""
    low: float
    high: float
    """Ends of its 95 % interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan(JsonFile):
    """What pretraining does with a compute budget. `law` holds the scaling law's values beside the chosen ones."""

    NAME: ClassVar[str] = "plan.json"
    STEP: ClassVar[str] = "the step scaling"

    shape: ModelShape
    tokens: int
    """Training tokens."""
    batch_size: int
    """Sequences in a batch."""
    sequence_length: int
    """Tokens in a sequence."""
    steps: int
    learning_rate: float
    """Maximum learning rate."""
    init_std: float
    """Standard deviation of the initial weights (paper, section 2.3: 0.006)."""
    warmup_steps: int
    compute: float
    """FLOPs: M·D of the chosen shape and tokens, with the paper's M (section 3.1)."""
    memory_bytes: int
    """Expected peak memory of one worker."""
    law: Mapping[str, float]
    """The law's own values: its model scale (such as non_embedding_flops_per_token), tokens, batch_tokens, learning_rate."""
    notes: tuple[str, ...] = ()
    """What a reader must know, such as that the law extrapolates here."""
    flops_per_token: Mapping[str, float] = field(default_factory=dict)
    """M beside 6N without and with embeddings (non_embedding, six_n, six_n_with_embeddings), and how far each 6N is from M."""
    prediction: Prediction | None = None
    """What the training should end with by a law fitted here; None: the law predicts none."""
    predicted_figure: Figure = "loss"
    """Which figure of the finished training the prediction is about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One training of a sweep."""

    budget: float
    """FLOPs that it belongs to; the plan's own differ by less than a batch."""
    plan: Plan
    seed: int
    """Of the initial weights and of the data order."""
