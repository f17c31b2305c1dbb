"""A small law of a text with two vocabularies, and what a ladder in three vocabularies ends with under known laws."""

import dataclasses
from pathlib import Path

import numpy as np

from components.scaling.fitting.robust import Array
from components.scaling.laws.law import Law, LossLaw, PowerLaw, allocation
from components.scaling.laws.text_law import TextLaw, VocabularyLaw
from components.scaling.sweeps.ladder import Ladder, Rung
from components.scaling.sweeps.table import write_table
from tests.components.scaling.ladder_truth import LADDER, TRUTH, rows


def vocabulary(vocab_size: int, A: float, B: float, bytes_per_token: float) -> VocabularyLaw:
    loss = LossLaw(E=1.0, A=A, B=B, alpha=0.3, beta=0.4, draws=((1.0, A, B, 0.3, 0.4, 0.01), (1.0, A, B, 0.3, 0.4, -0.01)))
    model, tokens = allocation(loss, 1.0)
    law = Law(
        name=str(vocab_size),
        source="",
        data="",
        model=model,
        tokens=tokens,
        loss=loss,
        figure="bits_per_byte",
        runs=((1e6, 1e6, 2.0),),
    )
    return VocabularyLaw(vocab_size=vocab_size, bytes_per_token=bytes_per_token, law=law)


LAW = TextLaw(
    name="mine",
    source="fitted",
    data="a text",
    vocabularies=(vocabulary(512, 60.0, 440.0, 2.0), vocabulary(1024, 55.0, 480.0, 2.5)),
    sequence_length=256,
    aspect=(32.0, 48.0),
    batch_tokens=PowerLaw(coefficient=0.3, exponent=0.3),
    learning_rate=PowerLaw(coefficient=0.3, exponent=-0.1),
)

TRUTHS = {512: TRUTH, 1024: dataclasses.replace(TRUTH, A=55.0, B=500.0), 2048: dataclasses.replace(TRUTH, A=52.0, B=560.0)}
"""Larger vocabularies need less model and more tokens."""

SMALL = dataclasses.replace(
    LADDER, rungs=tuple(Rung(compute=1e12 * 2**rung, widths=(32, 48, 64, 96)) for rung in range(3)), target=8.0
)


def tables(directory: Path, ladder: Ladder = SMALL, noise: float = 0.002) -> dict[str, Path]:
    """A directory with the ladder's table in each vocabulary."""
    runs = {}
    for number, (size, truth) in enumerate(TRUTHS.items()):
        runs[str(size)] = directory / str(size)
        runs[str(size)].mkdir(parents=True)
        single = rows(ladder.in_vocabulary(size), noise, number, truth=truth, bytes_per_token=2.0 + number / 2)
        write_table(single, runs[str(size)] / "runs.csv")
    return runs


def columns(truths: dict[int, LossLaw], seed: int) -> tuple[Array, Array, Array, Array]:
    """n, d, loss and vocabulary of the ladder's trainings with the scatter of a seed."""
    generator = np.random.default_rng(seed)
    values = []
    for size, truth in truths.items():
        for point in SMALL.in_vocabulary(size).points():
            scale = SMALL.family.scale(point.plan.shape.d_model)
            scatter = np.exp(0.005 * generator.standard_normal())
            values.append((scale, point.plan.tokens, truth.at(scale, point.plan.tokens) * scatter, size))
    n, d, loss, group = np.array(values, dtype=np.float64).T
    return n, d, loss, group
