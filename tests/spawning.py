"""A launcher whose workers are processes of their own, joined by gloo: several workers without Ray."""

import queue
import time
import traceback
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any

import torch.distributed as dist
import torch.multiprocessing as mp

from components.ports import RecordingReporter, SilentMetrics

DEADLINE = 600
"""Seconds after which workers that say nothing are taken for stuck."""


class SpawningLauncher:
    """Runs every worker in a process of its own."""

    overhead_seconds = 0.0

    def launch(self, work: Any, spec: Any, *, workers: int, metrics: Any, min_workers: int | None = None) -> list[Any]:
        """Call `work` in each process."""
        context = mp.get_context("spawn")
        results = context.Queue()
        # Where they meet is here, at a port that is taken as it is found
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        arguments = (workers, store.port, work, spec, results)
        started = [context.Process(target=_run, args=(rank, *arguments)) for rank in range(workers)]
        for process in started:
            process.start()
        try:
            values = _results(started, results)
        except BaseException:
            for process in started:
                process.kill()
            raise
        for process in started:
            process.join()
        return [values[rank] for rank in range(workers)]


def _results(started: Sequence[BaseProcess], results: Any) -> dict[int, Any]:
    """What each worker returned; the first error of one, or its death, is that of all."""
    values: dict[int, Any] = {}
    deadline = time.monotonic() + DEADLINE
    while len(values) < len(started):
        try:
            rank, value, error = results.get(timeout=1)
        except queue.Empty:
            codes = [process.exitcode for process in started]
            if any(codes) or time.monotonic() > deadline:
                raise RuntimeError(f"workers that did not answer; exit codes: {codes}") from None
            continue
        if error:
            raise RuntimeError(f"worker {rank} failed:\n{error}")
        values[rank] = value
    return values


def _run(rank: int, workers: int, port: int, work: Any, spec: Any, results: Any) -> None:
    try:
        dist.init_process_group("gloo", store=dist.TCPStore("127.0.0.1", port), rank=rank, world_size=workers)
        results.put((rank, work(spec, RecordingReporter(SilentMetrics(), rank, workers)), ""))
        dist.destroy_process_group()
    except BaseException:
        results.put((rank, None, traceback.format_exc()))
        raise
