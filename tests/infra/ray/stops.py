"""A long training in a guarded process with a Ray of its own, for tests that stop it.

    python -m tests.infra.ray.stops HOME WORKERS

Prints the number of each step that is reported to the driver.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from components.ports import SilentMetrics, TrainingReporter
from infra.process_end import guarded, own_process

STEPS, INTERVAL = 100_000, 1_000
"""Steps of the training, and between two of its checkpoints."""


class PrintedMetrics(SilentMetrics):
    """Metrics that print the steps."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Print the step."""
        print(step, flush=True)


def work(directory: Path, reporter: TrainingReporter) -> int:
    """Train; returns the step that the training has resumed from."""
    from components.training.checkpoints.saving import CheckpointPlan
    from components.training.loop import TrainSpec, train
    from tests.components.training.conftest import NextToken, RepeatedPairs, settings, small_model

    trained = train(
        TrainSpec(model=small_model(), objective=NextToken(), batches=RepeatedPairs()),
        settings(steps=STEPS, checkpoint_steps=INTERVAL),
        CheckpointPlan(root=directory / "checkpoints", identity={"model": "small"}),
        reporter,
    )
    return trained.resumed_from


def main() -> None:
    """Train until stopped."""
    from infra.ray.local import ensure_ray
    from infra.ray.train import RayLauncher
    from infra.variables import quieten

    quieten()
    own_process()
    home, workers = Path(sys.argv[1]), int(sys.argv[2])
    with guarded(lambda cause: cause.what, lambda _: None):
        ensure_ray(home / "ray", cpus=2)
        RayLauncher(storage_path=home / "ray-train").launch(work, home, workers=workers, metrics=PrintedMetrics())


if __name__ == "__main__":
    main()
