"""Two training processes do what one does."""

import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from components.alignment.config import DPOConfig
from components.alignment.dpo import optimise_preferences
from components.ports import InProcessLauncher, Launcher, RecordingReporter, SilentMetrics

CONFIG = DPOConfig(epochs=1, learning_rate=1e-3, batch_size=16, precision="fp32", micro_batch_tokens=1024)


class SpawningLauncher:
    """Runs every worker in a process of its own, joined by gloo."""

    overhead_seconds = 0.0

    def launch(self, work: Any, spec: Any, *, workers: int, metrics: Any) -> list[Any]:
        """Call `work` in each process."""
        context = mp.get_context("spawn")
        results = context.Queue()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = [context.Process(target=_run, args=(rank, workers, port, work, spec, results)) for rank in range(workers)]
        for process in started:
            process.start()
        found = dict(results.get(timeout=240) for _ in started)
        for process in started:
            process.join()
        return [found[rank] for rank in range(workers)]


def _run(rank: int, workers: int, port: int, work: Any, spec: Any, results: Any) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=workers)
    results.put((rank, work(spec, RecordingReporter(SilentMetrics(), rank, workers))))
    dist.destroy_process_group()


@dataclass(frozen=True)
class Outcome:
    """Figures and history of one optimisation."""

    figures: dict[str, float]
    history: list[dict[str, float]]


def optimise(workers: int, launcher: Launcher, pairs: Path, checkpoint: Path, place: Path) -> Outcome:
    """Optimise with so many workers."""
    (place / "output").mkdir(parents=True)
    figures = optimise_preferences(
        replace(CONFIG, workers=workers),
        pairs=pairs,
        checkpoint=checkpoint,
        output=place / "output",
        scratch=place / "scratch",
        launcher=launcher,
        metrics=SilentMetrics(),
    )
    return Outcome(figures, pq.read_table(place / "output" / "metrics" / "training.parquet").to_pylist())


@pytest.mark.slow
def test_two_workers_learn_what_one_does(pairs: Path, base: Path, tmp_path: Path) -> None:
    one = optimise(1, InProcessLauncher(), pairs, base, tmp_path / "one")
    two = optimise(2, SpawningLauncher(), pairs, base, tmp_path / "two")
    assert two.figures == pytest.approx(one.figures, rel=1e-3, abs=1e-5)
    assert [row["loss"] for row in two.history] == pytest.approx([row["loss"] for row in one.history], rel=1e-4)
