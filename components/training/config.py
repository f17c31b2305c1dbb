"""How to train, said once for every kind of training: schedule, optimizer, precision, layout, checkpoints, incidents.

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
    """The first of `steps` with at least a share of them done."""
    return next((step for step in range(int(share * steps), steps) if step / steps >= share), steps)


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
class CheckpointConfig:
    """When checkpoints are made, and which are kept."""

    seconds: float | None = field(default=300.0, metadata=DECIDES_NOTHING)
    """Seconds between two checkpoints (paper, section 2.4: every 5 minutes); None: not by time."""
    steps: int | None = field(default=None, metadata=DECIDES_NOTHING)
    """Steps between two checkpoints; None: not by steps."""
    keep: int = field(default=2, metadata=DECIDES_NOTHING)
    """Newest checkpoints that are kept while it trains: more than one, in case the newest is damaged."""
    permanent: tuple[float, ...] = (0.8,)
    """Shares of the training after which a checkpoint is kept for good, 12 bytes a weight: pretrainings with another token budget
    branch from it (`longrun run --from RUN --at 80%`). The end of the first stage (paper, section 2.3); empty: none is kept."""
    upload: bool = field(default=True, metadata=DECIDES_NOTHING)
    """Where artifacts are kept in a bucket, copy checkpoints there too, in the background: another machine resumes from them."""

    def __post_init__(self) -> None:
        for name in ("seconds", "steps"):
            value = getattr(self, name)
            require(value is None or value > 0, self, name, value, "a positive number or None")
        require(self.keep > 0, self, "keep", self.keep, "a positive integer")
        shares = all(0 < share <= 1 for share in self.permanent)
        require(shares, self, "permanent", self.permanent, "shares above 0, up to 1")

    @property
    def on_disk(self) -> int:
        """Checkpoints on the disk at once: those kept while it trains, those kept for good, and one being written."""
        return self.keep + len(self.permanent) + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentConfig:
    """What happens in steps in which something goes wrong."""

    non_finite: str = "stop"
    """A loss or gradient that is not finite: "stop" raises TrainingError, "skip" leaves the weights as they are."""
    spike_deviations: float | None = 8.0
    """A loss so many standard deviations above the mean of the last 100 is a spike, each at least 0.5 % of it; None: none is."""
    on_spike: str = "report"
    """"report" says so, and pretraining writes the documents of the batch down; "skip" also leaves the weights as they are;
    "stop" raises TrainingError."""
    max_skipped: int = 10
    """Steps in a row that may be skipped before training stops."""

    def __post_init__(self) -> None:
        require(self.non_finite in NON_FINITE, self, "non_finite", self.non_finite, ", ".join(NON_FINITE))
        require(self.on_spike in ON_SPIKE, self, "on_spike", self.on_spike, ", ".join(ON_SPIKE))
        deviations = self.spike_deviations
        positive = deviations is None or deviations > 0
        require(positive, self, "spike_deviations", deviations, "a positive number or None")
        require(self.max_skipped > 0, self, "max_skipped", self.max_skipped, "a positive integer")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """How to train, whatever is trained. The defaults are those of pretraining; SFT and DPO have theirs beside their configs."""

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
    """What a layer computes again in the backward pass, to save memory: "none"; "selective", all but products with weights and
    attention, which costs little time; "full", everything, a third more FLOPs (arXiv 1604.06174)."""
    deterministic: bool = False
    """Only operations that give the same bits each time, which a GPU does not do by itself; slower there, the same on a CPU."""
    workers: int = 1
    """Training processes, one per accelerator; the batch is divided among them."""
    min_workers: int | None = field(default=None, metadata=DECIDES_NOTHING)
    """Fewest workers with which training continues when nodes are lost, until there are more again; the same batches are divided
    among them. None: it waits until there are nodes for all."""
    layout: ParallelLayout = field(default_factory=ParallelLayout)
    """How the training is divided among its workers; what tensor, sequence and pipeline do not use makes replicas."""
    micro_batch_tokens: int = 32_768
    """Tokens in one forward and backward pass of a worker, padding included; of packed sequences, as many whole ones as fit, at
    least one. Bounds memory and changes no result beyond rounding; a CPU is fastest at about 1 000."""
    validation_steps: int | None = 1000
    """Steps between two measurements of what is held out; None: none on the way."""
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    """From which it resumes."""
    incidents: IncidentConfig = field(default_factory=IncidentConfig)
    """Losses and gradients that are not finite, and spikes of the loss."""

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
        """Packed sequences of that many tokens in a micro-batch."""
        return max(1, self.micro_batch_tokens // length)

    @property
    def planned_precision(self) -> str:
        """What memory is planned for, "bf16" or "fp32": on accelerators "auto" is bf16."""
        return "fp32" if self.precision == "fp32" else "bf16"

    def _require_layout(self) -> None:
        """Refuse workers that do not make whole replicas, and what a layout cannot do."""
        fewest, layout = self.min_workers, self.layout
        layout.over(self.workers)
        known = fewest is None or 1 <= fewest <= self.workers
        require(known, self, "min_workers", fewest, f"1 to workers {self.workers}, or None")
        elastic = fewest is None or (layout.workers_per_replica == 1 and layout.data is None)
        require(elastic, self, "min_workers", fewest, "None with parts of matrices, sequences or layers, or a number of replicas")
        on_spike = self.incidents.on_spike
        judged = on_spike != "skip" or layout.pipeline == 1
        allowed = "report, stop with a pipeline, which goes back before it knows the loss"
        require(judged, self, "incidents.on_spike", on_spike, allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """What `components.training.loop.train` is to do: the config, and what is decided once plan or data are known."""

    config: TrainingConfig
    """How to train."""
    steps: int
    """Optimizer steps."""
    learning_rate: float
    """Maximum learning rate."""
    warmup_steps: int
    """Steps of linear warm-up from 0 to the maximum."""

    def __post_init__(self) -> None:
        require(self.steps > 0, self, "steps", self.steps, "a positive integer")
        require(self.learning_rate > 0, self, "learning_rate", self.learning_rate, "a positive number")
        require(0 <= self.warmup_steps <= self.steps, self, "warmup_steps", self.warmup_steps, f"0 to steps {self.steps}")

    @classmethod
    def planned(cls, config: TrainingConfig, plan: Plan) -> "TrainingSettings":
        """Those of a training that follows a plan."""
        return cls(config=config, steps=plan.steps, learning_rate=plan.learning_rate, warmup_steps=plan.warmup_steps)

    @property
    def permanent_steps(self) -> frozenset[int]:
        """Steps after which the permanent checkpoints are made: the first ones past each share."""
        return frozenset(first_step(share, self.steps) for share in self.config.checkpoints.permanent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What is chosen instead of the scaling law, which has a say where a value is None; and how to train."""

    shape: ModelShape | None = None
    """The decoder; None: that of the checkpoint that training starts with, if it does, else as the law says."""
    tokens: int | None = None
    """Training tokens, rounded to whole batches; None: as the law says."""
    batch_size: int | None = None
    """Sequences in a batch; None: as the law says."""
    sequence_length: int | None = None
    """Tokens in a sequence, at most the context; None: the context of the shape, or the paper's 4 096 (table 2)."""
    learning_rate: float | None = None
    """Maximum learning rate; None: as the law says."""
    init_std: float | None = None
    """Standard deviation of the initial weights; None: the paper's 0.006 (section 2.3)."""
    warmup_steps: int | None = None
    """Steps of linear warm-up; None: the paper's 2 000 (section 2.3), or fewer where the training is short."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How to train. A planned shape divides by its layout, and the expected memory follows from it."""

    def __post_init__(self) -> None:
        for name in ("tokens", "batch_size", "sequence_length", "learning_rate", "init_std"):
            value = getattr(self, name)
            require(value is None or (math.isfinite(value) and value > 0), self, name, value, "a positive number or None")
        warmup = self.warmup_steps
        require(warmup is None or warmup >= 0, self, "warmup_steps", warmup, "0 or more, or None")
        self._require_fit()

    @staticmethod
    def of(config: "Choices", **changes: Any) -> "Choices":
        """The choices alone of a config that has more fields, with `changes` to them."""
        return Choices(**{each.name: getattr(config, each.name) for each in fields(Choices)} | changes)

    def _require_fit(self) -> None:
        """Refuse a sequence, a layout or a batch that does not fit the others."""
        length, size = self.sequence_length, self.batch_size
        context = None if self.shape is None else self.shape.context
        fits = length is None or context is None or length <= context
        require(fits, self, "sequence_length", length, f"up to the model's context of {context}")
        layout = self.training.layout.over(self.training.workers)
        if self.shape is not None:
            layout.require_fit(self.shape, length)
        enough = size is None or size >= layout.replicas
        require(enough, self, "batch_size", size, f"at least one sequence for each of {layout.replicas} replicas")


CHOICES = tuple(each.name for each in fields(Choices) if each.name != "training")
"""What may be chosen instead of the law."""
