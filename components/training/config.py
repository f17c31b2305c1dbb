"""The settings that every kind of training shares: schedule, optimizer, precision, checkpoints."""

from dataclasses import dataclass, field

from components.errors import require
from components.flops import ACTIVATION_CHECKPOINTING
from components.training.parallel.layout import ParallelLayout

SCHEDULES = ("multi-step", "cosine", "constant")
PRECISIONS = ("auto", "bf16", "fp32")
NON_FINITE = ("stop", "skip")
ON_SPIKE = ("report", "skip", "stop")


def first_step(share: float, steps: int) -> int:
    """The first of `steps` with at least a share of them done."""
    return next((step for step in range(int(share * steps), steps) if step / steps >= share), steps)


def require_shares(owner: object, field: str, shares: tuple[float, ...]) -> None:
    """Raise `ConfigError` unless these are shares of a training after which a checkpoint can be made."""
    require(all(0 < share <= 1 for share in shares), owner, field, shares, "shares above 0, up to 1")


def require_activation_checkpointing(owner: object, policy: str) -> None:
    """Raise `ConfigError` for an unknown policy."""
    allowed = ", ".join(ACTIVATION_CHECKPOINTING)
    require(policy in ACTIVATION_CHECKPOINTING, owner, "activation_checkpointing", policy, allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """How the learning rate falls after the linear warm-up (DeepSeek LLM, arXiv 2401.02954, section 2.3)."""

    kind: str = "multi-step"
    """"multi-step" is the paper's; "cosine" for comparison, and for DPO; "constant" stays at the maximum."""
    milestones: tuple[float, ...] = (0.8, 0.9)
    """Shares of the training after which the multi-step schedule drops (paper, section 2.3)."""
    factors: tuple[float, ...] = (0.316, 0.1)
    """Shares of the maximum learning rate after each milestone (paper, section 2.3: 31.6 % and 10 %)."""
    final_factor: float = 0.1
    """Share of the maximum at which the cosine schedule ends (paper, figure 1a: the cosine it compares with)."""

    def __post_init__(self) -> None:
        require(self.kind in SCHEDULES, self, "kind", self.kind, ", ".join(SCHEDULES))
        rising = list(self.milestones) == sorted(set(self.milestones)) and all(0 < m < 1 for m in self.milestones)
        require(rising, self, "milestones", self.milestones, "rising shares between 0 and 1")
        same = len(self.factors) == len(self.milestones) and all(0 < f <= 1 for f in self.factors)
        require(same, self, "factors", self.factors, "one share in (0, 1] for each milestone")
        require(0 <= self.final_factor <= 1, self, "final_factor", self.final_factor, "a share from 0 to 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) with the figures of DeepSeek LLM, section 2.3."""

    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.95
    """Decay of the second moment."""
    epsilon: float = 1e-8
    """Added to the root of the second moment; PyTorch's default, the paper gives none."""
    weight_decay: float = 0.1
    """Decoupled decay of matrices and embeddings; vectors (norm gains) are not decayed, as in GPT-3 (arXiv 2005.14165)."""
    clip: float = 1.0
    """Largest L2 norm of the gradient over all weights; larger ones are scaled down to it."""

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2"):
            require(0 <= getattr(self, name) < 1, self, name, getattr(self, name), "a number from 0 to below 1")
        for name in ("epsilon", "clip"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive number")
        require(self.weight_decay >= 0, self, "weight_decay", self.weight_decay, "0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """The settings of `components.training.loop.train`, whatever it trains."""

    steps: int
    """Optimizer steps."""
    learning_rate: float
    """Maximum learning rate."""
    warmup_steps: int
    """Steps of linear warm-up from 0 to the maximum."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """The learning rate after the warm-up."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW."""
    precision: str = "bf16"
    """"bf16": forward and backward in bf16, gradients accumulated and weights kept in fp32 (paper, section 2.4);
    "fp32": everything in fp32; "auto": bf16 where the device multiplies it natively, else fp32."""
    compile: bool = False
    """Compile the model with torch.compile: faster steps, a first step of about half a minute; needs a C++ compiler."""
    activation_checkpointing: str = "none"
    """"selective": layers keep products and attention, and compute the rest again; "full": they keep their inputs alone; see
    `components.training.parallel.activation_checkpointing`."""
    layout: ParallelLayout = field(default_factory=ParallelLayout)
    """How the training is divided among its workers."""
    deterministic: bool = False
    """Only operations that give the same bits each time, which a GPU does not do by itself; slower there, the same on a CPU."""
    checkpoint_seconds: float | None = 300.0
    """Seconds between two checkpoints (paper, section 2.4: every 5 minutes); None: not by time."""
    checkpoint_steps: int | None = None
    """Steps between two checkpoints; None: not by steps."""
    keep_checkpoints: int = 2
    """Newest checkpoints that are kept: more than one, in case the newest is damaged."""
    permanent_checkpoints: tuple[float, ...] = ()
    """Shares of the training after which a checkpoint is made and kept for good."""
    validation_steps: int | None = None
    """Steps between two validations; the last step is always validated. None: only the last step."""
    non_finite: str = "stop"
    """A loss or gradient that is not finite: "stop" raises TrainingError, "skip" leaves the weights as they are."""
    spike_deviations: float | None = 8.0
    """A loss so many standard deviations above the mean of the last 100 is a spike, each at least 0.5 % of it; None: none is."""
    on_spike: str = "report"
    """"report" notes the documents of the batch; "skip" also leaves the weights as they are; "stop" raises TrainingError."""
    max_skipped: int = 10
    """Steps in a row that may be skipped before training stops."""

    @property
    def permanent_steps(self) -> frozenset[int]:
        """Steps after which the permanent checkpoints are made: the first ones past each share."""
        return frozenset(first_step(share, self.steps) for share in self.permanent_checkpoints)

    def __post_init__(self) -> None:
        require_shares(self, "permanent_checkpoints", self.permanent_checkpoints)
        require(self.steps > 0, self, "steps", self.steps, "a positive integer")
        require(self.learning_rate > 0, self, "learning_rate", self.learning_rate, "a positive number")
        require(0 <= self.warmup_steps <= self.steps, self, "warmup_steps", self.warmup_steps, f"0 to steps {self.steps}")
        require(self.precision in PRECISIONS, self, "precision", self.precision, ", ".join(PRECISIONS))
        require_activation_checkpointing(self, self.activation_checkpointing)
        require(self.non_finite in NON_FINITE, self, "non_finite", self.non_finite, ", ".join(NON_FINITE))
        require(self.on_spike in ON_SPIKE, self, "on_spike", self.on_spike, ", ".join(ON_SPIKE))
        known = self.on_spike != "skip" or self.layout.pipeline == 1
        require(known, self, "on_spike", self.on_spike, "report, stop with a pipeline, which goes back before it knows the loss")
        for name in ("checkpoint_seconds", "checkpoint_steps", "validation_steps", "spike_deviations"):
            value = getattr(self, name)
            require(value is None or value > 0, self, name, value, "a positive number or None")
        for name in ("keep_checkpoints", "max_skipped"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
