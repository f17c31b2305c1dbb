"""The mailbox between the driver and the workers of a trainer: an actor whose process imports next to nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from components.errors import LongrunError, TrainingError

UNREPORTED = "they exited without reporting an error"
"""Why workers were started again, where none of them could say."""

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
class WorkerRank:
    """A worker's rank among those that Ray Train started together."""

    group: str
    """Which start it was: after a loss all workers are started again, as many as the cluster has room for."""
    rank: int
    world_size: int


@dataclass
class Outcome:
    """What has come of an assignment so far."""

    results: dict[int, bytes] = field(default_factory=dict)
    """By rank, pickled."""
    workers: int = 0
    """How many work at it; 0: none has joined yet."""
    error: LongrunError | None = None
    lost: bool = False
    """Whether the error is that workers were lost too often, and not one of the work's own."""
    entered: float | None = None
    """Unix time at which the first worker entered the work."""
    ended: float | None = None
    """Unix time at which the last worker ended it."""
    groups: set[str] = field(default_factory=set)
    """Groups of workers that entered the work: more than one where workers were lost."""

    @property
    def is_complete(self) -> bool:
        """Whether every worker has given a result."""
        return 0 < self.workers == len(self.results)


class Mailbox:
    """Hands assignments to workers that wait for them, and hands what they post to the driver.

    Workers of an earlier group, cut off from Ray but alive, may still post: that is ignored. Losses are counted until a step
    beyond the furthest so far is done: weeks of training may lose many workers, and a training that always dies at one step ends.
    """

    def __init__(self, max_failures: int) -> None:
        """`max_failures`: how often in a row workers may be started again without such a step."""
        self._max_failures = max_failures
        self._starts = self._furthest = 0
        self._reason = UNREPORTED
        self._assignment: Assignment | None = None
        self._dismissed = False
        self._reports: list[Report] = []
        self._outcome = Outcome()
        self._placement_groups: dict[str, Any] = {}
        self._group = ""
        self._workers = 0
        self._changed = asyncio.Condition()

    async def assign(self, number: int, pickled: bytes) -> None:
        """Give all workers something to do."""
        self._reports, self._outcome = [], Outcome(workers=self._workers)
        self._assignment = Assignment(number, pickled)
        self._starts, self._furthest, self._reason = int(self._workers > 0), 0, UNREPORTED
        await self._notify()

    async def dismiss(self) -> None:
        """End the workers as soon as they ask for more."""
        self._dismissed = True
        await self._notify()

    async def assignment(self, after: int) -> Assignment | None:
        """The next assignment after number `after`, as soon as there is one; None: the worker is dismissed.

        A worker that was started again after a loss has done none, and joins the one that is not finished.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._dismissed or self._is_open(after))
            return None if self._dismissed else self._assignment

    async def join(self, worker: WorkerRank, placement_group: Any) -> None:
        """A worker has started, with the processors of that placement group; the first of a new group ends the group before."""
        if worker.group in self._placement_groups:
            return
        self._placement_groups[worker.group] = placement_group
        self._group, self._workers = worker.group, worker.world_size
        if not await self.is_finished():
            self._outcome.results, self._outcome.workers = {}, worker.world_size
            self._starts += 1
            if self._starts > 1 + self._max_failures:
                self._outcome.lost = True
                self._outcome.error = TrainingError(
                    f"training workers failed {self._starts - 1} times without a step done in between: {self._reason}"
                )

    async def placement_groups(self) -> list[Any]:
        """The placement groups of all workers so far."""
        return list(self._placement_groups.values())

    async def enter(self, worker: WorkerRank, now: float) -> None:
        """A worker starts the assignment."""
        if worker.group == self._group:
            self._outcome.entered = self._outcome.entered or now
            self._outcome.groups.add(worker.group)

    async def report(self, worker: WorkerRank, reports: list[Report]) -> None:
        """Steps are done."""
        if worker.group == self._group:
            self._reports.extend(reports)
            furthest = max(step for step, _, _ in reports)
            if furthest > self._furthest:
                self._starts, self._furthest, self._reason = 1, furthest, UNREPORTED

    async def leave(self, worker: WorkerRank, result: bytes, now: float) -> None:
        """A worker has done the assignment."""
        if worker.group == self._group:
            self._outcome.results[worker.rank], self._outcome.ended = result, now

    async def fail(self, worker: WorkerRank, error: LongrunError, now: float) -> None:
        """A worker fails with an error of ours, which is final; the first one counts."""
        if worker.group == self._group:
            self._outcome.error, self._outcome.ended = self._outcome.error or error, now

    async def crash(self, worker: WorkerRank, reason: str) -> None:
        """A worker fails with any other error, and will be started again."""
        if worker.group == self._group:
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
    """A new mailbox as an actor; it ends with its last handle. Every worker may wait in it at once.

    It runs on the driver's node, so that the driver never outlives it.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here).remote(max_failures)
