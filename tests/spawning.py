"""A launcher whose workers are processes of their own, joined by gloo: several workers without Ray."""

import socket
from typing import Any

import torch.distributed as dist
import torch.multiprocessing as mp

from components.ports import RecordingReporter, SilentMetrics


class SpawningLauncher:
    """Runs every worker in a process of its own."""

    overhead_seconds = 0.0

    def launch(self, work: Any, spec: Any, *, workers: int, metrics: Any, min_workers: int | None = None) -> list[Any]:
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
