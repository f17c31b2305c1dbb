"""How a training ended, and how far a training state is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from components.artifacts.json_file import JsonFile
from components.artifacts.plan import Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingOutcome(JsonFile):
    """What a finished pretraining came out at; beside the weights of its checkpoint."""

    NAME: ClassVar[str] = "outcome.json"
    STEP: ClassVar[str] = "the step pretraining"

    steps: int
    tokens: int
    """Training tokens that were seen."""
    loss: float
    """Mean of the last tenth of the steps, in nats per token."""
    bits_per_byte: float | None = None
    """Of held-out text after the last step, the mean over domains by the mixture's shares; None: no document was long enough."""
    bits_per_byte_by_domain: Mapping[str, float] = field(default_factory=dict)
    """The same of each domain with documents long enough."""

    @property
    def figures(self) -> dict[str, float]:
        """The figures that were measured, by the names that laws predict them under."""
        return {"loss": self.loss} | ({} if self.bits_per_byte is None else {"bits_per_byte": self.bits_per_byte})

    def figure(self, name: Figure) -> float | None:
        """The figure that a law predicts; None where it was not measured."""
        return self.figures.get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class PointOutcome(JsonFile):
    """What one training of a sweep came out at."""

    NAME: ClassVar[str] = "point.json"
    STEP: ClassVar[str] = "the sweep"

    trained: TrainingOutcome | None
    """None where training failed."""
    failure: str = ""
    """Why it failed; empty where it did not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReachedStep(JsonFile):
    """How far the training of a training state had got."""

    NAME: ClassVar[str] = "state.json"
    STEP: ClassVar[str] = "the step pretraining"

    step: int
    steps: int
    """Of the whole training."""
    tokens: int
    """Training tokens seen until then."""
