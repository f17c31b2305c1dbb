"""Runs many independent tasks in long-lived worker processes and streams their results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

Spec = TypeVar("Spec")
Result = TypeVar("Result")


class WorkerPool(Protocol):
    """Workers with one processor core each; a worker that finishes a task takes the next one."""

    @property
    def workers(self) -> int:
        """Number of workers."""
        ...

    def stream(self, work: Callable[[Spec], Iterator[Result]], specs: Sequence[Spec]) -> Iterator[tuple[int, Result]]:
        """Call `work(spec)` for each spec and yield its results with the index of the spec, as soon as they arrive.

        Specs are started in order. Results of one spec keep their order; results of different specs may be interleaved. `work`
        must be an importable function; specs and results must be picklable, and paths in them absolute. A `LongrunError` that
        `work` raises is raised unchanged.
        """
        ...


@dataclass(frozen=True)
class InProcessPool:
    """Runs the tasks one after the other in this process."""

    workers: int = 1

    def stream(self, work: Callable[[Spec], Iterator[Result]], specs: Sequence[Spec]) -> Iterator[tuple[int, Result]]:
        """Call `work` in this process."""
        for number, spec in enumerate(specs):
            for result in work(spec):
                yield number, result
