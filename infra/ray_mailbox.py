"""What passes between the driver and the workers of a trainer: an actor whose process imports next to nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from components.errors import LongrunError

Report = tuple[int, int, dict[str, float]]
"""Step, steps in total, figures."""


@dataclass(frozen=True)
class Assignment:
    """Something for all workers to do."""

    number: int
    """From 1, in the order of assignment."""
    pickled: bytes
    """A function and its spec, which only the workers open: opening imports what they need."""


@dataclass
class Outcome:
    """What an assignment has left behind so far."""

    results: dict[int, bytes] = field(default_factory=dict)
    """By rank, pickled."""
    error: LongrunError | None = None
    entered: float | None = None
    """Unix time at which the first worker entered the work."""
    left: float | None = None
    """Unix time at which the last worker left it."""
    entries: int = 0
    """How often a worker entered the work: more often than there are workers where some were lost."""


class Mailbox:
    """Hands assignments to workers that wait for them, and what those post to the driver."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._assignment: Assignment | None = None
        self._dismissed = False
        self._reports: list[Report] = []
        self._outcome = Outcome()
        self._held: list[Any] = []
        self._changed = asyncio.Condition()

    async def assign(self, number: int, pickled: bytes) -> None:
        """Give all workers something to do."""
        self._reports, self._outcome = [], Outcome()
        self._assignment = Assignment(number, pickled)
        await self._notify()

    async def dismiss(self) -> None:
        """Send the workers home as soon as they ask for more."""
        self._dismissed = True
        await self._notify()

    async def assignment(self, after: int) -> Assignment | None:
        """What a worker shall do that has done assignment `after`: waits until there is something; None: go home.

        A worker that was started again after a loss has done nothing, and takes part in what is not finished.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._dismissed or self._is_open(after))
            return None if self._dismissed else self._assignment

    async def hold(self, placement_group: Any) -> None:
        """A worker is there, with the processors of that placement group."""
        self._held.append(placement_group)

    async def held(self) -> list[Any]:
        """The placement groups of all workers that there were."""
        return self._held

    async def enter(self, now: float) -> None:
        """A worker begins."""
        self._outcome.entered = self._outcome.entered or now
        self._outcome.entries += 1

    async def report(self, step: int, total_steps: int, values: dict[str, float]) -> None:
        """A step is done."""
        self._reports.append((step, total_steps, values))

    async def leave(self, rank: int, result: bytes, now: float) -> None:
        """A worker is done."""
        self._outcome.results[rank], self._outcome.left = result, now

    async def fail(self, error: LongrunError, now: float) -> None:
        """A worker refuses to go on; the first reason stays."""
        self._outcome.error, self._outcome.left = self._outcome.error or error, now

    async def take_reports(self) -> list[Report]:
        """The reports since the last call."""
        reports, self._reports = self._reports, []
        return reports

    async def is_finished(self) -> bool:
        """Whether the assignment has all its results, or an error."""
        return self._outcome.error is not None or len(self._outcome.results) == self._workers

    async def outcome(self) -> Outcome:
        """Results and times so far."""
        return self._outcome

    def _is_open(self, after: int) -> bool:
        if self._assignment is None or self._assignment.number <= after:
            return False
        return self._outcome.error is None and len(self._outcome.results) < self._workers

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def mailbox_actor(workers: int) -> Any:
    """A new mailbox as an actor; it ends when its last handle is gone. Every worker may wait in it at once."""
    import ray

    return ray.remote(Mailbox).options(num_cpus=0, max_concurrency=1000).remote(workers)
