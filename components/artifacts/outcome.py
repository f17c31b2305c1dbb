"""The result of a training run, and the progress of an unfinished one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from components.artifacts.json_file import JsonFile
from components.artifacts.plan import Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingOutcome(JsonFile):
    """The result of a finished pretraining; stored with its checkpoint."""

    NAME: ClassVar[str] = "outcome.json"
    STEP: ClassVar[str] = "the step pretraining"

    steps: int
    tokens: int
    """Number of training tokens seen."""
    loss: float
    """Mean training loss over the last tenth of the steps, in nats per token."""
    bits_per_byte: float | None = None
    """Bits per byte of held-out text after the last step, averaged over domains with the mixture's shares as weights; None if no
    held-out document has at least 1 000 bytes."""
    bits_per_byte_by_domain: Mapping[str, float] = field(default_factory=dict)
    """Bits per byte of held-out text after the last step, for each domain with a document of at least 1 000 bytes."""

    @property
    def figures(self) -> dict[str, float]:
        """The measured values of the figures that a scaling law can predict, by name."""
        return {"loss": self.loss} | ({} if self.bits_per_byte is None else {"bits_per_byte": self.bits_per_byte})

    def figure(self, name: Figure) -> float | None:
        """The measured value of one figure; None if it was not measured."""
        return self.figures.get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class PointOutcome(JsonFile):
    """The result of one training run of a sweep."""

    NAME: ClassVar[str] = "point.json"
    STEP: ClassVar[str] = "the sweep"

    trained: TrainingOutcome | None
    """Result of the training; None if it failed."""
    failure: str = ""
    """Reason for the failure; empty if the training succeeded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingProgress(JsonFile):
    """The training step at which a training state was saved."""

    NAME: ClassVar[str] = "state.json"
    STEP: ClassVar[str] = "the step pretraining"

    step: int
    steps: int
    """Number of steps of the whole training."""
    tokens: int
    """Number of training tokens seen up to this step."""
