"""The settings of pretraining."""

from dataclasses import dataclass, field

from components.errors import require
from components.file_names import names_files
from components.model.origin import READ
from components.training.config import Choices


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingConfig(Choices):
    """What is chosen instead of the scaling law, and how to train (DeepSeek LLM, arXiv 2401.02954, section 2).

    Planning reads the choices; pretraining follows the plan.
    """

    start: str = field(default="", metadata=names_files(patterns=READ))
    """Directory, or its URI in a bucket, of a Hugging Face LLaMA (config, safetensors, tokenizer.json) whose weights, shape
    and tokenizer training starts with; empty: weights are initialised, and a tokenizer is trained."""
    document_mask: bool = False
    """Whether a token attends to the earlier tokens of its own document alone; else packed documents attend to each other: each
    token to all before it in the window. Off, because the paper (arXiv 2401.02954) names no such mask, causal attention
    without one is the fastest kernel everywhere, and Llama 3 (arXiv 2407.21783, section 3.2), which has one, found it to change
    little in standard pretraining, though it matters for continued pretraining on very long sequences. On, a micro-batch
    holds sequence_length² more numbers for each sequence."""
    loss_rows: int | None = None
    """Targets whose logits exist at once, for long vocabularies: with 102 400 ids and 4 096 targets, 512 hold an eighth of the
    logits; None: all of a micro-batch, which is faster where they fit."""
    max_validation_bytes: int = 1_000_000
    """UTF-8 bytes of held-out documents that each measurement reads of each domain at most."""
    seed: int = 0
    """Of the initial weights and of the order of the data."""

    def __post_init__(self) -> None:
        Choices.__post_init__(self)
        require(self.loss_rows is None or self.loss_rows > 0, self, "loss_rows", self.loss_rows, "a positive integer or None")
        # The chunked loss reads the head's weight outside of its module, where ZeRO-3 has not gathered it.
        whole = self.training.layout.zero_stage == 1 or self.loss_rows is None
        require(whole, self, "loss_rows", self.loss_rows, "None with zero_stage 3")
        size = self.max_validation_bytes
        require(size > 0, self, "max_validation_bytes", size, "a positive integer")
