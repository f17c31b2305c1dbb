"""Preference optimisation, end to end on a tiny model in this process."""

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.alignment.config import DPOConfig
from components.alignment.dpo import measures_of, optimise_preferences
from components.ports import InProcessLauncher, SilentMetrics
from tests.training_configs import with_training

CONFIG = with_training(
    DPOConfig(epochs=2, learning_rate=3e-3, batch_size=16), precision="fp32", micro_batch_tokens=4096, checkpoint_seconds=None
)

Changes = dict[tuple[str, str], tuple[float, float]]


@pytest.fixture(scope="module")
def optimised(pairs: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, float], Path]:
    """Figures and output of one optimisation."""
    directory = tmp_path_factory.mktemp("dpo")
    (directory / "output").mkdir()
    figures = optimise_preferences(
        CONFIG,
        pairs=pairs,
        checkpoint=base,
        output=directory / "output",
        scratch=directory / "scratch",
        launcher=InProcessLauncher(),
        metrics=SilentMetrics(),
    )
    return figures, directory / "output"


@pytest.fixture(scope="module")
def changes(optimised: tuple[dict[str, float], Path]) -> Changes:
    """Before and after by measure and kind."""
    rows = pq.read_table(optimised[1] / "metrics" / "alignment.parquet").to_pylist()
    return {(row["measure"], row["kind"]): (row["before"], row["after"]) for row in rows}


@pytest.mark.long
def test_the_reward_margin_on_held_out_pairs_rises(changes: Changes, optimised: tuple[dict[str, float], Path]) -> None:
    before, after = changes["reward_margin", "author-vs-sample"]
    assert before == 0.0
    assert after > 0.1
    assert changes["reward_accuracy", "author-vs-sample"][0] == 0.5
    assert changes["reward_accuracy", "author-vs-sample"][1] > 0.8
    assert optimised[0]["reward_margin/author-vs-sample/after"] == after


def test_every_measure_is_there_for_every_kind(changes: Changes) -> None:
    assert {kind for _, kind in changes} == {"all", "author-vs-sample", "right-vs-other"}
    assert len({measure for measure, _ in changes}) == 7
    assert len(changes) == 21


def test_the_reward_margin_is_beta_times_the_change_of_the_log_probability_margin(changes: Changes) -> None:
    for kind in ("all", "author-vs-sample", "right-vs-other"):
        before, after = changes["log_probability_margin", kind]
        assert changes["reward_margin", kind][1] == pytest.approx(CONFIG.beta * (after - before))


def test_the_first_step_is_at_the_reference(optimised: tuple[dict[str, float], Path]) -> None:
    rows = pq.read_table(optimised[1] / "metrics" / "training.parquet").to_pylist()
    assert (rows[0]["reward_margin"], rows[0]["reward_accuracy"]) == (0.0, 0.5)
    assert rows[0]["loss"] == pytest.approx(math.log(2))
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_the_measures_of_two_pairs_are_those_worked_out_by_hand() -> None:
    reference = np.array([[-11.0, -11.5], [-4.0, -4.0]])
    scores = np.array([[-10.0, -12.0], [-4.0, -4.0]])
    measures = {name: values.mean() for name, values in measures_of(scores, reference, beta=0.1).items()}
    assert measures == pytest.approx(
        {
            "reward_margin": 0.075,
            "reward_accuracy": 0.75,
            "log_probability_margin": 1.0,
            "preference_accuracy": 0.75,
            "chosen_log_probability": -7.0,
            "rejected_log_probability": -8.0,
            "preference_loss": (math.log(1 + math.exp(-0.15)) + math.log(2)) / 2,
        }
    )
