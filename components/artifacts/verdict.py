"""How a training ended beside what its plan predicted."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from components.artifacts.json_file import JsonFile
from components.artifacts.plan import Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanVerdict(JsonFile):
    """The outcome of a training beside its prediction."""

    NAME: ClassVar[str] = "verdict.json"
    STEP: ClassVar[str] = "the step verdict"

    figure: Figure
    """What was predicted, and measured."""
    predicted: float
    low: float
    high: float
    """Ends of the prediction's 95 % interval."""
    actual: float
    position: Literal["below", "inside", "above"]
    """Where `actual` lies, seen from the interval; below it, the model is better than predicted."""
    excess: float
    """actual / predicted - 1."""

    @property
    def figure_in_words(self) -> str:
        """The figure as sentences name it."""
        return self.figure.replace("_", " ")
