"""The config of pretraining."""

from dataclasses import dataclass, field

from components.errors import require
from components.file_names import names_files
from components.model.origin import READ
from components.training.config import Choices


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingConfig(Choices):
    """Values chosen instead of the scaling law's, and how to train (DeepSeek LLM, arXiv 2401.02954, section 2).

    Planning takes the chosen values into account; pretraining follows the plan.
    """

    start: str = field(default="", metadata=names_files(patterns=READ))
    """Path, URI in a bucket, or `hf://OWNER/NAME@REVISION` on the Hugging Face hub, of a LLaMA directory (config, safetensors,
    tokenizer.json). Training starts from its weights and uses its shape and tokenizer. Empty: weights are initialised and a
    tokenizer is trained."""
    document_mask: bool = False
    """Whether a token attends only to earlier tokens of its own document. If False, it attends to all earlier tokens of the
    window, also of other documents. False by default: the paper (arXiv 2401.02954) does not mention a mask, and attention is
    fastest without one. Llama 3 (arXiv 2407.21783, section 3.2) uses a mask and found that it matters little in standard
    pretraining, but is important in continued pretraining on very long sequences. If True, a micro-batch needs sequence_length²
    more numbers per sequence."""
    loss_rows: int | None = None
    """Number of targets whose logits are in memory at a time, to save memory with large vocabularies; slower. With 102 400 ids
    and micro-batches of 4 096 targets, 512 needs an eighth of the memory. None: all targets of a micro-batch."""
    max_validation_bytes: int = 1_000_000
    """Maximum UTF-8 bytes of held-out documents per domain that each validation reads."""
    seed: int = 0
    """Random seed of the initial weights and of the data order."""

    def __post_init__(self) -> None:
        Choices.__post_init__(self)
        require(self.loss_rows is None or self.loss_rows > 0, self, "loss_rows", self.loss_rows, "a positive integer or None")
        # The chunked loss reads the head's weight outside of the head's forward pass, where ZeRO-3 has not gathered it.
        whole = self.training.layout.zero_stage == 1 or self.loss_rows is None
        require(whole, self, "loss_rows", self.loss_rows, "None with training.layout.zero_stage 3")
        size = self.max_validation_bytes
        require(size > 0, self, "max_validation_bytes", size, "a positive integer")
