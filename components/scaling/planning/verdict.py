"""Whether a training came out as its plan's law predicted. Pure arithmetic."""

from collections.abc import Mapping
from typing import Any

from components.artifacts import Plan
from components.errors import FitRefused


def judge(plan: Plan, measured: Mapping[str, Any]) -> dict[str, Any]:
    """figure, predicted, low, high, actual, place and excess.

    place is "inside", "above" or "below" the interval, excess is actual / predicted - 1.

    Args:
        plan: with a prediction.
        measured: figures of the finished training.

    Raises:
        FitRefused: the plan predicts nothing, or the training has no such figure.
    """
    said, figure = plan.prediction, plan.predicted_figure
    if said is None:
        raise FitRefused("the plan predicts nothing, because its law was not fitted here; fit one: longrun sweep or longrun fit")
    actual = measured.get(figure)
    if actual is None:
        raise FitRefused(f"the training has no {figure}, which its plan predicts; it has: {', '.join(sorted(measured))}")
    return {
        "figure": figure,
        "predicted": said["loss"],
        "low": said["low"],
        "high": said["high"],
        "actual": float(actual),
        "place": "below" if actual < said["low"] else "above" if actual > said["high"] else "inside",
        "excess": actual / said["loss"] - 1,
    }
