"""Whether a training run ended as its plan predicted. Pure arithmetic."""

from components.artifacts import Plan, PlanVerdict, TrainingOutcome
from components.errors import FitRefused


def judge(plan: Plan, outcome: TrainingOutcome) -> PlanVerdict:
    """What the plan predicted beside what came out.

    Raises:
        FitRefused: the plan predicts nothing, or the training has no such figure.
    """
    prediction, figure = plan.prediction, plan.predicted_figure
    if prediction is None:
        raise FitRefused("the plan predicts nothing, because its law was not fitted here; fit one: longrun sweep or longrun fit")
    actual = outcome.figure(figure)
    if actual is None:
        raise FitRefused(f"the training has no {figure}, which its plan predicts; it has: {', '.join(sorted(outcome.figures))}")
    return PlanVerdict(
        figure=figure,
        predicted=prediction.loss,
        low=prediction.low,
        high=prediction.high,
        actual=actual,
        position="below" if actual < prediction.low else "above" if actual > prediction.high else "inside",
        excess=actual / prediction.loss - 1,
    )
