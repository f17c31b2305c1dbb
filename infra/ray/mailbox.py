"""What passes between the driver and the workers of a trainer: an actor whose process imports next to nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from components.errors import LongrunError, TrainingError

LOST = "they were lost without a word"
"""Why workers were started again, where none of them could tell."""

Report = tuple[int, int, dict[str, float]]
"""Step, steps in total, figures."""


@dataclass(frozen=True)
class Assignment:
    """Something for all workers to do."""

    number: int
    """From 1, in the order of assignment."""
    pickled: bytes
    """A function and its spec, which only the workers open: opening imports what they need."""


@dataclass(frozen=True)
class Place:
    """A worker's place among those that Ray Train started together."""

    group: str
    """Which start it was: after a loss all workers are started anew, as many as there is room for."""
    rank: int
    world_size: int


@dataclass
class Outcome:
    """What an assignment has left behind so far."""

    results: dict[int, bytes] = field(default_factory=dict)
    """By rank, pickled."""
    workers: int = 0
    """How many are at it; 0: none is there yet."""
    error: LongrunError | None = None
    entered: float | None = None
    """Unix time at which the first worker entered the work."""
    left: float | None = None
    """Unix time at which the last worker left it."""
    groups: set[str] = field(default_factory=set)
    """Groups of workers that entered the work: more than one where workers were lost."""

    @property
    def is_complete(self) -> bool:
        """Whether every worker has left a result."""
        return 0 < self.workers == len(self.results)


class Mailbox:
    """Hands assignments to workers that wait for them, and what those post to the driver.

    Workers of a former group, cut off from Ray but alive, may go on posting: nobody hears them. Losses count as long as no step
    beyond the furthest so far is done: weeks of training may lose many workers, and one that always dies at one step ends.
    """

    def __init__(self, max_failures: int) -> None:
        """`max_failures`: how often in a row workers may be started again without such a step."""
        self._max_failures = max_failures
        self._starts = self._furthest = 0
        self._reason = LOST
        self._assignment: Assignment | None = None
        self._dismissed = False
        self._reports: list[Report] = []
        self._outcome = Outcome()
        self._held: dict[str, Any] = {}
        self._group = ""
        self._workers = 0
        self._changed = asyncio.Condition()

    async def assign(self, number: int, pickled: bytes) -> None:
        """Give all workers something to do."""
        self._reports, self._outcome = [], Outcome(workers=self._workers)
        self._assignment = Assignment(number, pickled)
        self._starts, self._furthest, self._reason = int(self._workers > 0), 0, LOST
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

    async def join(self, place: Place, placement_group: Any) -> None:
        """A worker is there, with the processors of that placement group; the first of a new group ends the one before."""
        if place.group in self._held:
            return
        self._held[place.group] = placement_group
        self._group, self._workers = place.group, place.world_size
        if not await self.is_finished():
            self._outcome.results, self._outcome.workers = {}, place.world_size
            self._starts += 1
            if self._starts > 1 + self._max_failures:
                self._outcome.error = TrainingError(
                    f"training workers failed {self._starts - 1} times without a step done in between: {self._reason}; "
                    "the logs are in Ray's session"
                )

    async def held(self) -> list[Any]:
        """The placement groups of all workers that there were."""
        return list(self._held.values())

    async def enter(self, place: Place, now: float) -> None:
        """A worker begins."""
        if place.group == self._group:
            self._outcome.entered = self._outcome.entered or now
            self._outcome.groups.add(place.group)

    async def report(self, place: Place, reports: list[Report]) -> None:
        """Steps are done."""
        if place.group == self._group:
            self._reports.extend(reports)
            furthest = max(step for step, _, _ in reports)
            if furthest > self._furthest:
                self._starts, self._furthest, self._reason = 1, furthest, LOST

    async def leave(self, place: Place, result: bytes, now: float) -> None:
        """A worker is done."""
        if place.group == self._group:
            self._outcome.results[place.rank], self._outcome.left = result, now

    async def fail(self, place: Place, error: LongrunError, now: float) -> None:
        """A worker refuses to go on; the first reason stays."""
        if place.group == self._group:
            self._outcome.error, self._outcome.left = self._outcome.error or error, now

    async def break_off(self, place: Place, reason: str) -> None:
        """A worker ends for another reason, and will be started again."""
        if place.group == self._group:
            self._reason = reason

    async def take_reports(self) -> list[Report]:
        """The reports since the last call."""
        reports, self._reports = self._reports, []
        return reports

    async def is_finished(self) -> bool:
        """Whether the assignment has all its results, or an error."""
        return self._outcome.error is not None or self._outcome.is_complete

    async def outcome(self) -> Outcome:
        """Results and times so far."""
        return self._outcome

    def _is_open(self, after: int) -> bool:
        if self._assignment is None or self._assignment.number <= after:
            return False
        return self._outcome.error is None and not self._outcome.is_complete

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def mailbox_actor(max_failures: int) -> Any:
    """A new mailbox as an actor; it ends when its last handle is gone. Every worker may wait in it at once.

    It stands where the driver does, so that no node can be lost with it that the driver survives.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here).remote(max_failures)
