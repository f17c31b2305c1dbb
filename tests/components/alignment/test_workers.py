"""Two training processes do what one does."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.alignment.config import DPOConfig
from components.alignment.dpo import optimise_preferences
from components.ports import InProcessLauncher, Launcher, SilentMetrics
from tests.spawning import SpawningLauncher
from tests.training_configs import with_training

CONFIG = with_training(DPOConfig(epochs=1, learning_rate=1e-3, batch_size=16), precision="fp32", micro_batch_tokens=1024)


@dataclass(frozen=True)
class Outcome:
    """Figures and history of one optimisation."""

    figures: dict[str, float]
    history: list[dict[str, float]]


def optimise(workers: int, launcher: Launcher, pairs: Path, checkpoint: Path, directory: Path) -> Outcome:
    """Optimise with so many workers."""
    (directory / "output").mkdir(parents=True)
    figures = optimise_preferences(
        with_training(CONFIG, workers=workers),
        pairs=pairs,
        checkpoint=checkpoint,
        output=directory / "output",
        scratch=directory / "scratch",
        launcher=launcher,
        metrics=SilentMetrics(),
    )
    return Outcome(figures, pq.read_table(directory / "output" / "metrics" / "training.parquet").to_pylist())


@pytest.mark.slow
def test_two_workers_learn_what_one_does(pairs: Path, base: Path, tmp_path: Path) -> None:
    alone = optimise(1, InProcessLauncher(), pairs, base, tmp_path / "one")
    together = optimise(2, SpawningLauncher(), pairs, base, tmp_path / "two")
    assert together.figures == pytest.approx(alone.figures, rel=1e-3, abs=1e-5)
    assert [row["loss"] for row in together.history] == pytest.approx([row["loss"] for row in alone.history], rel=1e-4)
