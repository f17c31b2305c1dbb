"""Configs of training, shared by all kinds of training: schedule, optimizer, precision, layout, checkpoints, incidents.

"Paper" is DeepSeek LLM, arXiv 2401.02954.
"""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from components.artifacts import ModelShape, Plan
from components.decides import DECIDES_NOTHING
from components.errors import require
from components.flops import ACTIVATION_CHECKPOINTING
from components.training.parallel.layout import ParallelLayout

SCHEDULES = ("multi-step", "cosine", "constant")
PRECISIONS = ("auto", "bf16", "fp32")
NON_FINITE = ("stop", "skip")
ON_SPIKE = ("report", "skip", "stop")


def first_step(share: float, steps: int) -> int:
    """The number of steps, of `steps`, after which at least the fraction `share` of them is done."""
    return next((step for step in range(int(share * steps), steps) if step / steps >= share), steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """The learning rate schedule after the linear warm-up (DeepSeek LLM, arXiv 2401.02954, section 2.3)."""

    kind: str = "multi-step"
    """"multi-step": drops at the milestones, as in the paper; "cosine": the usual alternative; "constant": stays at the
    maximum."""
    milestones: tuple[float, ...] = (0.8, 0.9)
    """Fractions of the training at which the multi-step schedule lowers the learning rate (paper, section 2.3)."""
    factors: tuple[float, ...] = (0.316, 0.1)
    """Learning rate after each milestone, as a fraction of the maximum (paper, section 2.3: 31.6 % and 10 %)."""
    final_factor: float = 0.1
    """Learning rate at the end of the cosine schedule, as a fraction of the maximum (paper, figure 1a)."""

    def __post_init__(self) -> None:
        require(self.kind in SCHEDULES, self, "kind", self.kind, ", ".join(SCHEDULES))
        rising = list(self.milestones) == sorted(set(self.milestones)) and all(0 < m < 1 for m in self.milestones)
        require(rising, self, "milestones", self.milestones, "increasing fractions between 0 and 1")
        same = len(self.factors) == len(self.milestones) and all(0 < f <= 1 for f in self.factors)
        require(same, self, "factors", self.factors, "one fraction above 0, up to 1, for each milestone")
        require(0 <= self.final_factor <= 1, self, "final_factor", self.final_factor, "a fraction from 0 to 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) with the values of DeepSeek LLM, section 2.3."""

    beta1: float = 0.9
    """Decay rate of the first moment."""
    beta2: float = 0.95
    """Decay rate of the second moment."""
    epsilon: float = 1e-8
    """Added to the square root of the second moment. PyTorch's default; the paper gives no value."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices and embeddings. Vectors (norm gains) are not decayed, as in GPT-3 (arXiv 2005.14165)."""
    clip: float = 1.0
    """Maximum L2 norm of the gradient over all weights; larger gradients are scaled down to it."""

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2"):
            require(0 <= getattr(self, name) < 1, self, name, getattr(self, name), "a number from 0 to below 1")
        for name in ("epsilon", "clip"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive number")
        require(self.weight_decay >= 0, self, "weight_decay", self.weight_decay, "a number from 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointConfig:
    """When training checkpoints are saved, and which are kept."""

    seconds: float | None = field(default=300.0, metadata=DECIDES_NOTHING)
    """Seconds between two checkpoints (paper, section 2.4: every 5 minutes); None: no checkpoints by time."""
    steps: int | None = field(default=None, metadata=DECIDES_NOTHING)
    """Steps between two checkpoints; None: no checkpoints by steps."""
    keep: int = field(default=2, metadata=DECIDES_NOTHING)
    """Number of newest checkpoints kept during training; more than one, in case the newest is damaged."""
    permanent: tuple[float, ...] = (0.8,)
    """Fractions of the training after which a checkpoint is kept permanently (12 bytes per weight). Pretrainings with another
    token budget branch from it (`longrun run --from RUN --at 80%`). The default is the end of the first stage (paper, section
    2.3); empty: none."""
    upload: bool = field(default=True, metadata=DECIDES_NOTHING)
    """Upload checkpoints in the background if artifacts are stored in a bucket, so that another machine can resume."""

    def __post_init__(self) -> None:
        for name in ("seconds", "steps"):
            value = getattr(self, name)
            require(value is None or value > 0, self, name, value, "a positive number or None")
        require(self.keep > 0, self, "keep", self.keep, "a positive integer")
        shares = all(0 < share <= 1 for share in self.permanent)
        require(shares, self, "permanent", self.permanent, "fractions above 0, up to 1")

    @property
    def on_disk(self) -> int:
        """Maximum number of checkpoints on disk at a time: those kept during training, permanent ones, and one in progress."""
        return self.keep + len(self.permanent) + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentConfig:
    """How training reacts to non-finite losses and gradients, and to loss spikes."""

    non_finite: str = "stop"
    """If a loss or gradient is not finite: "stop" raises TrainingError; "skip" skips the update of the weights."""
    spike_deviations: float | None = 8.0
    """A loss is a spike if it exceeds the mean of the last 100 steps by more than this number of standard deviations. The
    standard deviation counts as at least 0.5 % of the mean. None: spikes are not detected."""
    on_spike: str = "report"
    """If the loss is a spike: "report" logs it, and pretraining lists the documents of the batch; "skip" also skips the update
    of the weights; "stop" raises TrainingError."""
    max_skipped: int = 10
    """Maximum number of consecutive steps whose update may be skipped; after more, training stops."""

    def __post_init__(self) -> None:
        require(self.non_finite in NON_FINITE, self, "non_finite", self.non_finite, ", ".join(NON_FINITE))
        require(self.on_spike in ON_SPIKE, self, "on_spike", self.on_spike, ", ".join(ON_SPIKE))
        deviations = self.spike_deviations
        positive = deviations is None or deviations > 0
        require(positive, self, "spike_deviations", deviations, "a positive number or None")
        require(self.max_skipped > 0, self, "max_skipped", self.max_skipped, "a positive integer")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """How to train a model. The defaults are those of pretraining; the configs of SFT and DPO set their own."""

    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """Learning rate schedule after the warm-up."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Parameters of AdamW."""
    precision: str = "bf16"
    """"bf16": forward and backward pass in bf16, weights and accumulated gradients in fp32 (paper, section 2.4); "fp32":
    everything in fp32; "auto": bf16 if the device supports it natively, otherwise fp32."""
    compile: bool = False
    """Compile the model with torch.compile. Steps are faster, but the first step takes about half a minute; needs a C++
    compiler."""
    activation_checkpointing: str = "none"
    """Activations that are recomputed in the backward pass to save memory: "none"; "selective": all except matrix products and
    attention, at little cost; "full": all, for a third more FLOPs (arXiv 1604.06174)."""
    deterministic: bool = False
    """Use only deterministic operations, so that results are bitwise reproducible on a GPU. Slower on a GPU; no effect on the
    speed of a CPU."""
    workers: int = 1
    """Number of training processes, one per accelerator; the batch is divided among them."""
    min_workers: int | None = field(default=None, metadata=DECIDES_NOTHING)
    """Minimum number of workers with which training continues after nodes are lost, until more are available again. The batches
    stay the same. None: training waits for all workers."""
    layout: ParallelLayout = field(default_factory=ParallelLayout)
    """How the model and the batch are divided among the workers."""
    micro_batch_tokens: int = 32_768
    """Maximum tokens per forward and backward pass of a worker, including padding; at least one sequence. Limits memory use;
    results differ only by rounding. A CPU is fastest at about 1 000."""
    validation_steps: int | None = 1000
    """Steps between two measurements on held-out data; None: only after the last step."""
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    """Training checkpoints, from which a stopped training run resumes."""
    incidents: IncidentConfig = field(default_factory=IncidentConfig)
    """Reaction to non-finite losses and gradients, and to loss spikes."""

    def __post_init__(self) -> None:
        require(self.precision in PRECISIONS, self, "precision", self.precision, ", ".join(PRECISIONS))
        policy, policies = self.activation_checkpointing, ", ".join(ACTIVATION_CHECKPOINTING)
        require(policy in ACTIVATION_CHECKPOINTING, self, "activation_checkpointing", policy, policies)
        for name in ("workers", "micro_batch_tokens"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        interval = self.validation_steps
        require(interval is None or interval > 0, self, "validation_steps", interval, "a positive number or None")
        self._require_layout()

    def sequences(self, length: int) -> int:
        """Number of packed sequences of `length` tokens in a micro-batch."""
        return max(1, self.micro_batch_tokens // length)

    @property
    def planned_precision(self) -> str:
        """The precision assumed when memory is planned, "bf16" or "fp32"; "auto" counts as bf16, which accelerators use."""
        return "fp32" if self.precision == "fp32" else "bf16"

    def _require_layout(self) -> None:
        """Raise `ConfigError` if the workers do not form whole replicas, or if the layout does not support an option."""
        fewest, layout = self.min_workers, self.layout
        layout.over(self.workers)
        known = fewest is None or 1 <= fewest <= self.workers
        require(known, self, "min_workers", fewest, f"1 to workers {self.workers}, or None")
        elastic = fewest is None or (layout.workers_per_replica == 1 and layout.data is None)
        require(
            elastic, self, "min_workers", fewest, "None if layout.tensor, sequence or pipeline is above 1, or layout.data is set"
        )
        on_spike = self.incidents.on_spike
        judged = on_spike != "skip" or layout.pipeline == 1
        allowed = "report or stop with layout.pipeline above 1, where the backward pass starts before the loss is known"
        require(judged, self, "incidents.on_spike", on_spike, allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """The settings of one training run: its config, and the values that depend on the plan or the data."""

    config: TrainingConfig
    """How to train."""
    steps: int
    """Number of optimizer steps."""
    learning_rate: float
    """Maximum learning rate."""
    warmup_steps: int
    """Number of steps of linear warm-up from 0 to the maximum learning rate."""

    def __post_init__(self) -> None:
        require(self.steps > 0, self, "steps", self.steps, "a positive integer")
        require(self.learning_rate > 0, self, "learning_rate", self.learning_rate, "a positive number")
        require(0 <= self.warmup_steps <= self.steps, self, "warmup_steps", self.warmup_steps, f"0 to steps {self.steps}")

    @classmethod
    def planned(cls, config: TrainingConfig, plan: Plan) -> "TrainingSettings":
        """The settings of a training run that follows a plan."""
        return cls(config=config, steps=plan.steps, learning_rate=plan.learning_rate, warmup_steps=plan.warmup_steps)

    @property
    def permanent_steps(self) -> frozenset[int]:
        """Steps after which permanent checkpoints are saved."""
        return frozenset(first_step(share, self.steps) for share in self.config.checkpoints.permanent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """Values chosen by the user, and how to train. The scaling law chooses the values that are None."""

    shape: ModelShape | None = None
    """Shape of the decoder; None: the shape of the checkpoint that training starts from, or else chosen by the law."""
    tokens: int | None = None
    """Number of training tokens, rounded to whole batches; None: chosen by the law."""
    batch_size: int | None = None
    """Sequences per batch; None: chosen by the law."""
    sequence_length: int | None = None
    """Tokens per sequence, at most the context; None: the context of the shape, or the paper's 4 096 (table 2)."""
    learning_rate: float | None = None
    """Maximum learning rate; None: chosen by the law."""
    init_std: float | None = None
    """Standard deviation of the initial weights; None: the paper's 0.006 (section 2.3)."""
    warmup_steps: int | None = None
    """Number of steps of linear warm-up; None: the paper's 2 000 (section 2.3), or fewer if the training is short."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How to train. The planner takes the layout into account for the shape and the expected memory."""

    def __post_init__(self) -> None:
        for name in ("tokens", "batch_size", "sequence_length", "learning_rate", "init_std"):
            value = getattr(self, name)
            require(value is None or (math.isfinite(value) and value > 0), self, name, value, "a positive number or None")
        warmup = self.warmup_steps
        require(warmup is None or warmup >= 0, self, "warmup_steps", warmup, "an integer from 0, or None")
        self._require_fit()

    @staticmethod
    def of(config: "Choices", **changes: Any) -> "Choices":
        """The fields of `Choices` from a config that has more fields, with `changes` applied."""
        return Choices(**{each.name: getattr(config, each.name) for each in fields(Choices)} | changes)

    def _require_fit(self) -> None:
        """Raise `ConfigError` if sequence length, layout, batch size and shape do not fit together."""
        length, size = self.sequence_length, self.batch_size
        context = None if self.shape is None else self.shape.context
        fits = length is None or context is None or length <= context
        require(fits, self, "sequence_length", length, f"at most the model's context of {context}")
        layout = self.training.layout.over(self.training.workers)
        if self.shape is not None:
            layout.require_fit(self.shape, length)
        enough = size is None or size >= layout.replicas
        require(enough, self, "batch_size", size, f"at least one sequence for each of {layout.replicas} replicas")


CHOICES = tuple(each.name for each in fields(Choices) if each.name != "training")
"""Names of the values that may be chosen instead of leaving them to the law."""
