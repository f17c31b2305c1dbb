"""What trainings of a small ladder would come out at under a known law, as their artifacts tell it."""

from dataclasses import replace

import numpy as np

from components.artifacts import Plan, PointOutcome, Prediction, TrainingOutcome
from components.flops import non_embedding_flops_per_token
from components.scaling.laws.law import LossLaw
from components.scaling.sweeps.family import Family
from components.scaling.sweeps.ladder import Ladder, Rung
from components.scaling.sweeps.table import Row, row_of

TRUTH = LossLaw(E=1.0, A=60.0, B=440.0, alpha=0.32, beta=0.45)

LADDER = Ladder(
    rungs=tuple(
        Rung(compute=3e11 * 2**rung, widths=tuple(8 * (rung + step) for step in range(2, 9)), seeds=2 - min(rung, 1))
        for rung in range(4)
    ),
    family=Family(n_layer=2, vocab_size=512, sequence_length=128),
    batch_size=16,
    learning_rate=6e-3,
)


def expected(plan: Plan, truth: LossLaw = TRUTH) -> float:
    """Bits per byte by the truth."""
    return truth.at(non_embedding_flops_per_token(plan.shape, plan.sequence_length), plan.tokens)


def outcome(plan: Plan, bits_per_byte: float | None) -> TrainingOutcome:
    """A training of that plan which came out at so many bits per byte."""
    return TrainingOutcome(steps=plan.steps, tokens=plan.tokens, loss=1.0, bits_per_byte=bits_per_byte)


def rows(
    ladder: Ladder = LADDER, noise: float = 0.002, seed: int = 0, *, truth: LossLaw = TRUTH, bytes_per_token: float = 2.0
) -> list[Row]:
    """The ladder's table."""
    generator = np.random.default_rng(seed)
    trainings = []
    for point in ladder.points():
        measured = expected(point.plan, truth) * np.exp(noise * generator.standard_normal())
        trainings.append(row_of(point, PointOutcome(trained=outcome(point.plan, measured)), bytes_per_token))
    return trainings


def predicting(plan: Plan, low: float, high: float) -> Plan:
    """The plan with a prediction around what the truth says, as factors of it."""
    value = expected(plan)
    said = Prediction(loss=value, low=low * value, high=high * value)
    return replace(plan, prediction=said, predicted_figure="bits_per_byte")
