"""A training on a Ray of two nodes with a processor each, from which a worker or a node is taken away."""

import contextlib
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from components.ports import TrainingReporter
from tests.infra.ray.reporters import ForwardingReporter

STEPS, INTERVAL, LOST_AFTER = 12, 5, 7
SEQUENCES = 9
"""In a batch: more for one of two workers than for the other."""

POLL_SECONDS = 0.02


@dataclass(frozen=True)
class OddBatches:
    """Sequences in which every second token repeats the one before, in micro-batches of one."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> list[dict[str, Any]]:
        """The rank's part, which may be a sequence larger than another's."""
        import torch

        ids = torch.randint(0, 32, (SEQUENCES, 17), generator=torch.Generator().manual_seed(step))
        ids[:, 1::2] = ids[:, 0:-1:2]
        mine = ids[SEQUENCES * rank // world_size : SEQUENCES * (rank + 1) // world_size]
        return [{"tokens": sequence[:, :-1], "targets": sequence[:, 1:]} for sequence in mine.split(1)]


@dataclass(frozen=True)
class WaitingReporter(ForwardingReporter):
    """A reporter that waits after a step until something is lost, once, and notes when those that went on ended a step.

    The driver cannot tell: until the loss is noticed steps may still end, and it hears of none twice.
    """

    directory: Path

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Pass it on, and note or wait if it is time."""
        super().report(step, total_steps, values)
        went_on, resumed = self.directory / "went-on", self.directory / "resumed"
        if "resumed_from" in values:
            resumed.touch()
        elif "tokens_per_second" in values and resumed.exists() and not went_on.exists():
            went_on.write_text(str(time.monotonic()))
        if step == LOST_AFTER and not (self.directory / "lost").exists():
            while not (self.directory / "checkpoints" / f"step-{INTERVAL:08d}").exists():
                time.sleep(POLL_SECONDS)  # steps may be faster than the disk, and what is not whole is no checkpoint
            (self.directory / f"waits-{self.rank}").write_text(str(os.getpid()))
            while not (self.directory / "lost").exists():
                time.sleep(POLL_SECONDS)


def work(directory: Path, reporter: TrainingReporter) -> list[float]:
    """The losses."""
    from components.training.checkpoints.saving import CheckpointPlan
    from components.training.loop import TrainSpec, train
    from tests.components.training.conftest import NextToken, settings, small_model

    trained = train(
        TrainSpec(model=small_model(), objective=NextToken(), batches=OddBatches()),
        settings(steps=STEPS, precision="bf16", checkpoint_steps=INTERVAL),
        CheckpointPlan(root=directory / "checkpoints", identity={"model": "small"}),
        WaitingReporter(reporter, directory),
    )
    return [row["loss"] for row in trained.history]


@dataclass
class LosingMetrics:
    """Metrics that take something away once all workers wait, and note who went on."""

    directory: Path
    lose: Callable[[], None]
    lost_at: float | None = None
    resumed_from: int = 0
    workers: int = 0
    """That went on."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Lose it if it is time, or note what came after."""
        if self.lost_at is None and step == LOST_AFTER:
            while not all((self.directory / f"waits-{rank}").exists() for rank in (0, 1)):
                time.sleep(POLL_SECONDS)
            self.lost_at = time.monotonic()
            self.lose()
            (self.directory / "lost").touch()
        elif self.lost_at is not None and "resumed_from" in values:
            self.resumed_from, self.workers = int(values["resumed_from"]), int(values["workers"])

    def measured(self, values: Mapping[str, float]) -> None:
        """Drop the values."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Nothing to do."""


def main() -> None:
    """`python -m tests.infra.ray.elastic DIRECTORY worker|node`: train, lose one, and print how training went on."""
    from infra.variables import quieten

    quieten()
    directory, what = Path(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="lr-", ignore_cleanup_errors=True) as state:  # short, for Ray's sockets
        token = Path(state) / "token"
        token.write_text(secrets.token_hex(32))
        os.environ |= {"RAY_TMPDIR": state, "RAY_AUTH_TOKEN_PATH": str(token)}
        sys.stdout.write(json.dumps(trained(directory, what)) + "\n")


def trained(directory: Path, what: str) -> dict[str, Any]:
    """Train on a cluster of this process's own."""
    import ray
    from ray.cluster_utils import Cluster

    from infra.bundle import PROJECT_ROOT
    from infra.ray.train import RayLauncher
    from infra.ray.workers import release

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    node = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, logging_level="ERROR", runtime_env={"env_vars": {"PYTHONPATH": str(PROJECT_ROOT)}})

    def lose() -> None:
        if what == "worker":
            os.kill(int((directory / "waits-1").read_text()), signal.SIGKILL)
            return
        (raylet,) = node.all_processes["raylet"]
        workers = psutil.Process(raylet.process.pid).children(recursive=True)
        cluster.remove_node(node, allow_graceful=False)
        for process in workers:  # they outlive their raylet for a while, in which a fast machine ends the training
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    metrics, launcher = LosingMetrics(directory, lose), RayLauncher(storage_path=directory / "ray-train")
    losses = launcher.launch(work, directory, workers=2, min_workers=1, metrics=metrics)
    release()
    ray.shutdown()
    cluster.shutdown()
    assert metrics.lost_at is not None
    return {
        "losses": losses[0],
        "results": len(losses),
        "workers": metrics.workers,
        "resumed_from": metrics.resumed_from,
        "seconds": float((directory / "went-on").read_text()) - metrics.lost_at,
    }


if __name__ == "__main__":
    main()
