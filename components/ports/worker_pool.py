"""Many independent pieces of work in long-lived processes; each result is handed over as soon as it is there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

Spec = TypeVar("Spec")
Result = TypeVar("Result")


class WorkerPool(Protocol):
    """Workers of one processor each; a worker that is done takes the next piece of work."""

    @property
    def workers(self) -> int:
        """How many there are."""
        ...

    def stream(self, work: Callable[[Spec], Iterator[Result]], specs: Sequence[Spec]) -> Iterator[tuple[int, Result]]:
        """Call `work(spec)` for each spec, in their order as workers become free.

        Each result is handed over with the number of its spec when it is there: results of different specs come in any order,
        those of one spec in their own. `work` is an importable function, specs and results are picklable; paths in them are
        absolute. A `LongrunError` of the work is raised again as it is.
        """
        ...


@dataclass(frozen=True)
class InProcessPool:
    """One piece of work after another, in this process."""

    workers: int = 1

    def stream(self, work: Callable[[Spec], Iterator[Result]], specs: Sequence[Spec]) -> Iterator[tuple[int, Result]]:
        """Call `work` here."""
        for number, spec in enumerate(specs):
            for result in work(spec):
                yield number, result
