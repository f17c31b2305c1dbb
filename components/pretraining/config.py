"""The settings of pretraining."""

from dataclasses import dataclass, field

from components.artifacts import ModelShape
from components.errors import require
from components.training.config import (
    NON_FINITE,
    ON_SPIKE,
    PRECISIONS,
    OptimizerConfig,
    ScheduleConfig,
    require_activation_checkpointing,
    require_shares,
)
from components.training.parallel.layout import ParallelLayout

CHOICES = ("shape", "tokens", "batch_size", "sequence_length", "learning_rate", "init_std", "warmup_steps")
"""Fields that choose instead of the scaling law. Planning reads them; pretraining reads the plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingConfig:
    """What is chosen instead of the scaling law, and how to train (DeepSeek LLM, arXiv 2401.02954, section 2)."""

    start: str = ""
    """Directory of a Hugging Face LLaMA (config, safetensors, tokenizer.json) whose weights, shape and tokenizer training starts
    with; empty: weights are initialised, and a tokenizer is trained."""
    shape: ModelShape | None = None
    """The decoder; None: that of `start`, else as the plan says."""
    tokens: int | None = None
    """Training tokens; None: as the plan says."""
    batch_size: int | None = None
    """Sequences in a batch; None: as the plan says."""
    sequence_length: int | None = None
    """Tokens in a sequence, at most the context; None: as the plan says (paper, table 2: 4 096)."""
    learning_rate: float | None = None
    """Maximum learning rate; None: as the plan says."""
    init_std: float | None = None
    """Standard deviation of the initial weights; None: as the plan says (paper, section 2.3: 0.006)."""
    warmup_steps: int | None = None
    """Steps of linear warm-up; None: as the plan says (paper, section 2.3: 2 000)."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """The learning rate after the warm-up."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW."""
    precision: str = "bf16"
    """"bf16" with fp32 accumulation (paper, section 2.4), "fp32", or "auto": bf16 where the device multiplies it natively."""
    compile: bool = False
    """Compile the model with torch.compile: faster steps, a first step of about half a minute; needs a C++ compiler."""
    activation_checkpointing: str = "none"
    """What a layer computes again in the backward pass, to save memory: "none"; "selective", all but products with weights and
    attention, which costs little time; "full", everything, a third more FLOPs (arXiv 1604.06174)."""
    layout: ParallelLayout = field(default_factory=ParallelLayout)
    """How the training is divided among its workers; what tensor, sequence and pipeline do not use makes replicas."""
    deterministic: bool = False
    """Only operations that give the same bits each time, which a GPU does not do by itself; slower there, the same on a CPU."""
    workers: int = 1
    """Training workers; the batch is divided among them."""
    min_workers: int | None = None
    """Fewest workers with which training continues when nodes are lost, until there are more again; the same batches are divided
    among them. None: it waits until there are nodes for all."""
    micro_batch_size: int = 8
    """Sequences in one forward and backward pass of a worker; bounds memory, changes nothing else."""
    document_mask: bool = False
    """Whether a token attends to the earlier tokens of its own document alone; else packed documents attend to each other: each
    token to all before it in the window. Off, because the paper (arXiv 2401.02954) names no such mask, causal attention
    without one is the fastest kernel everywhere, and Llama 3 (arXiv 2407.21783, section 3.2), which has one, found it to change
    little in standard pretraining, though it matters for continued pretraining on very long sequences. On, a micro-batch
    holds sequence_length² more numbers for each sequence."""
    loss_rows: int | None = None
    """Targets whose logits exist at once, for long vocabularies: with 102 400 ids and 4 096 targets, 512 hold an eighth of the
    logits; None: all of a micro-batch, which is faster where they fit."""
    checkpoint_seconds: float | None = 300.0
    """Seconds between two checkpoints (paper, section 2.4: every 5 minutes); None: not by time."""
    checkpoint_steps: int | None = None
    """Steps between two checkpoints; None: not by steps."""
    upload_checkpoints: bool = True
    """Where artifacts are kept in a bucket, copy checkpoints there too, in the background: another machine resumes from them."""
    keep_checkpoints: int = 2
    """Whole checkpoints that are kept while it trains."""
    permanent_checkpoints: tuple[float, ...] = (0.8,)
    """Shares of the training after which a checkpoint is kept for good, 12 bytes a weight: trainings with another token budget
    branch from it (`longrun run --from RUN --at 80%`). The end of the first stage (paper, section 2.3); empty: none is kept."""
    validation_steps: int | None = 1000
    """Steps between two measurements of bits per byte; None: only after the last step."""
    max_validation_bytes: int = 1_000_000
    """UTF-8 bytes of held-out documents that each measurement reads of each domain at most."""
    non_finite: str = "stop"
    """A loss or gradient that is not finite: "stop" or "skip" the step."""
    spike_deviations: float | None = 8.0
    """A loss so many standard deviations above the mean of the last 100 is a spike, each at least 0.5 % of it; None: none is."""
    on_spike: str = "report"
    """"report" writes the documents of the batch down; "skip" also leaves the weights as they are; "stop" ends the training."""
    seed: int = 0
    """Of the initial weights and of the order of the data."""

    def __post_init__(self) -> None:
        for name in (
            *CHOICES[1:6],
            "loss_rows",
            "checkpoint_seconds",
            "checkpoint_steps",
            "validation_steps",
            "spike_deviations",
        ):
            value = getattr(self, name)
            require(value is None or value > 0, self, name, value, "a positive number or None")
        for name in ("workers", "micro_batch_size", "keep_checkpoints", "max_validation_bytes"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        fewest, warmup, layout = self.min_workers, self.warmup_steps, self.layout
        require(
            fewest is None or 1 <= fewest <= self.workers, self, "min_workers", fewest, f"1 to workers {self.workers}, or None"
        )
        elastic = fewest is None or (layout.workers_per_replica == 1 and layout.data is None)
        require(elastic, self, "min_workers", fewest, "None with parts of matrices, sequences or layers, or a number of replicas")
        require(warmup is None or warmup >= 0, self, "warmup_steps", warmup, "0 or more, or None")
        require_shares(self, "permanent_checkpoints", self.permanent_checkpoints)
        require(self.precision in PRECISIONS, self, "precision", self.precision, ", ".join(PRECISIONS))
        require_activation_checkpointing(self, self.activation_checkpointing)
        require(self.non_finite in NON_FINITE, self, "non_finite", self.non_finite, ", ".join(NON_FINITE))
        # The chunked loss reads the head's weight outside of its module, where ZeRO-3 has not gathered it.
        whole = self.layout.zero_stage == 1 or self.loss_rows is None
        require(whole, self, "loss_rows", self.loss_rows, "None with zero_stage 3")
        require(self.on_spike in ON_SPIKE, self, "on_spike", self.on_spike, ", ".join(ON_SPIKE))
        known = self.on_spike != "skip" or self.layout.pipeline == 1
        require(known, self, "on_spike", self.on_spike, "report, stop with a pipeline, which goes back before it knows the loss")
        self._require_fit()

    @property
    def max_checkpoints(self) -> int:
        """Checkpoints on the disk at once: those kept while it trains, those kept for good, and one being written."""
        return self.keep_checkpoints + len(self.permanent_checkpoints) + 1

    def _require_fit(self) -> None:
        length, size = self.sequence_length, self.batch_size
        context = None if self.shape is None else self.shape.context
        fits = length is None or context is None or length <= context
        require(fits, self, "sequence_length", length, f"up to the model's context of {context}")
        layout = self.layout.over(self.workers)
        if self.shape is not None:
            layout.require_fit(self.shape, length)
        enough = size is None or size >= layout.replicas
        require(enough, self, "batch_size", size, f"at least one sequence for each of {layout.replicas} replicas")
