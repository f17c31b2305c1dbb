"""Contenders that train at the same time and take turns step by step, so that a machine whose speed wanders meets all alike."""

import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection

from tests.benchmarks.training_contenders import CONTENDERS, Enough, Size

WARM_STEPS = 3
"""Steps that do not count: the first ones allocate, and compile."""


def rates(names: Sequence[str], size: Size, rounds: int) -> dict[str, float]:
    """Tokens per second of each contender: of the median over its steps. Every round begins with another one."""
    context = multiprocessing.get_context("spawn")
    pipes = {name: context.Pipe() for name in names}
    processes = [context.Process(target=contend, args=(name, size, theirs)) for name, (_, theirs) in pipes.items()]
    taken: dict[str, list[float]] = {name: [] for name in names}
    with contextlib.ExitStack() as asking:  # where one fails, the others must not wait to be asked
        for process, (mine, theirs) in zip(processes, pipes.values(), strict=True):
            asking.enter_context(mine)
            process.start()
            theirs.close()
            mine.recv()
        for number in range(rounds + WARM_STEPS):
            for name in (*names[number % len(names) :], *names[: number % len(names)]):
                mine, _ = pipes[name]
                mine.send(True)
                taken[name].append(mine.recv())
    for process in processes:
        process.join()
    return {name: size.tokens / statistics.median(seconds[WARM_STEPS:]) for name, seconds in taken.items()}


def contend(name: str, size: Size, requests: Connection) -> None:
    """Do one step, and one more whenever asked for; tell the seconds of each, until nobody asks any more."""
    started = time.perf_counter()

    def after_step(_: Mapping[str, float]) -> None:
        nonlocal started
        requests.send(time.perf_counter() - started)
        try:
            requests.recv()
        except EOFError:
            raise Enough from None
        started = time.perf_counter()

    with contextlib.suppress(Enough):
        CONTENDERS[name](size, after_step)
