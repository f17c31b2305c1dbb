"""Whether a training ended as its plan predicted. Pure arithmetic."""

from collections.abc import Mapping
from typing import Any

from components.artifacts import Plan
from components.errors import FitRefused


def judge(plan: Plan, measured: Mapping[str, Any]) -> dict[str, Any]:
    """The figure, what was predicted ("predicted", "low", "high") and what came out ("actual").

    "place" says whether that is "inside", "above" or "below" the interval; "excess" is actual / predicted - 1.

    Args:
        plan: with a prediction.
        measured: figures of the finished training.

    Raises:
        FitRefused: the plan predicts nothing, or the training has no such figure.
    """
    prediction, figure = plan.prediction, plan.predicted_figure
    if prediction is None:
        raise FitRefused("the plan predicts nothing, because its law was not fitted here; fit one: longrun sweep or longrun fit")
    actual = measured.get(figure)
    if actual is None:
        raise FitRefused(f"the training has no {figure}, which its plan predicts; it has: {', '.join(sorted(measured))}")
    return {
        "figure": figure,
        "predicted": prediction["loss"],
        "low": prediction["low"],
        "high": prediction["high"],
        "actual": float(actual),
        "place": "below" if actual < prediction["low"] else "above" if actual > prediction["high"] else "inside",
        "excess": actual / prediction["loss"] - 1,
    }
