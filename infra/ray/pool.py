"""Implements the worker pool on Ray: actors with one CPU each, in a Ray that the caller has started."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError

from components.errors import LongrunError, TrainingError
from infra.ray.logs import likely_cause
from infra.threads import use_threads

Spec = TypeVar("Spec")
Result = TypeVar("Result")


@dataclass
class RayWorkerPool:
    """A pool of actors, by default one per CPU of the cluster. A context manager: the actors live until it exits.

    Models that are too small to use two CPUs train about twice as fast in one-threaded workers, one per CPU, as in one worker
    with all threads.
    """

    workers: int = field(default=0)
    """Number of actors; 0: the number of CPUs of the cluster."""
    max_restarts: int = 2
    """How often a lost worker is restarted; its work then restarts from its own checkpoints."""
    _actors: list[Any] = field(default_factory=list, init=False)

    def __enter__(self) -> "RayWorkerPool":
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self.workers = self.workers or int(resources.get("CPU", 1))
        worker = ray.remote(_Worker).options(num_cpus=1, max_restarts=self.max_restarts, max_task_retries=self.max_restarts)
        self._actors = [worker.remote() for _ in range(self.workers)]
        return self

    def __exit__(self, *_: object) -> None:
        while self._actors:
            ray.kill(self._actors.pop())

    def stream(self, work: Callable[[Spec], Iterator[Result]], specs: Sequence[Spec]) -> Iterator[tuple[int, Result]]:
        """Results as `(index of the spec, result)`, as they arrive.

        Raises:
            LongrunError: whatever `work` raised.
            TrainingError: a worker was lost more than `max_restarts` times, or failed with another exception.
        """
        started, waiting = time.time(), list(enumerate(specs))
        busy: dict[Any, tuple[int, Any]] = {}
        free = list(self._actors)
        while waiting or busy:
            while waiting and free:
                number, spec = waiting.pop(0)
                actor = free.pop()
                pickled: bytes = ray.cloudpickle.dumps((work, spec))  # type: ignore[no-untyped-call]
                busy[actor.run.options(num_returns="streaming").remote(pickled)] = (number, actor)
            ready: Any = ray.wait(list(busy))[0][0]
            reference = next(ready, None)
            if reference is None:
                free.append(busy.pop(ready)[1])
                continue
            yield busy[ready][0], _opened(reference, started)


def _opened(reference: Any, since: float) -> Any:
    try:
        result = ray.cloudpickle.loads(ray.get(reference))
    except RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise TrainingError(f"a worker of the pool failed: {reason}{likely_cause(since)}") from error
    if isinstance(result, LongrunError):
        raise result
    return result


class _Worker:
    """The process of one worker."""

    def __init__(self) -> None:
        use_threads(1)

    def run(self, pickled: bytes) -> Iterator[bytes]:
        """The pickled results of `work`; the last one is its `LongrunError`, if it raised one."""
        work, spec = ray.cloudpickle.loads(pickled)
        try:
            for result in work(spec):
                yield ray.cloudpickle.dumps(result)  # type: ignore[no-untyped-call]
        except LongrunError as error:
            yield ray.cloudpickle.dumps(error)  # type: ignore[no-untyped-call]
