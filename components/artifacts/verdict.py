"""The comparison of a training's result with the prediction of its plan."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from components.artifacts.json_file import JsonFile
from components.artifacts.plan import Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanVerdict(JsonFile):
    """The measured result of a training run compared with its prediction."""

    NAME: ClassVar[str] = "verdict.json"
    STEP: ClassVar[str] = "the step verdict"

    figure: Figure
    """The figure that was predicted and measured."""
    predicted: float
    low: float
    """Lower end of the prediction's 95 % interval."""
    high: float
    """Upper end of the prediction's 95 % interval."""
    actual: float
    """Measured value."""
    position: Literal["below", "inside", "above"]
    """Whether `actual` is below, inside or above the interval. Below means that the model is better than predicted."""
    excess: float
    """Relative deviation: actual / predicted - 1."""

    @property
    def figure_in_words(self) -> str:
        """The name of the figure with spaces in place of underscores."""
        return self.figure.replace("_", " ")
