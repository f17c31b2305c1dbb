"""The mailbox through which a driver and training workers communicate: an actor whose process imports almost nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from components.errors import LongrunError, TrainingError

UNREPORTED = "they exited without reporting an error"
"""Reason for restarting workers if none of them reported an error."""

Report = tuple[int, int, dict[str, float]]
"""Step, total number of steps, and figures by name."""


@dataclass(frozen=True)
class Assignment:
    """Work for all workers."""

    number: int
    """Number of the assignment, from 1."""
    pickled: bytes
    """The pickled function and spec. Only workers unpickle them, because that imports what the function needs."""


@dataclass(frozen=True)
class WorkerRank:
    """A worker's rank among those that Ray Train started together."""

    group: str
    """Id of the group of workers that were started together; after a loss all workers are restarted as a new group."""
    rank: int
    world_size: int


@dataclass
class Outcome:
    """The state of an assignment: results and errors so far."""

    results: dict[int, bytes] = field(default_factory=dict)
    """Rank -> pickled result."""
    workers: int = 0
    """Number of workers in the current group; 0: none has joined yet."""
    error: LongrunError | None = None
    lost: bool = False
    """Whether `error` means that workers were lost too often; else it comes from the work itself."""
    entered: float | None = None
    """Unix time at which the first worker started the work."""
    ended: float | None = None
    """Unix time at which the last worker finished the work."""
    groups: set[str] = field(default_factory=set)
    """Ids of the groups that started the work; more than one after a loss."""

    @property
    def is_complete(self) -> bool:
        """Whether every worker has returned a result."""
        return 0 < self.workers == len(self.results)


class Mailbox:
    """Passes assignments to waiting workers, and their reports and results to the driver.

    Messages of workers of an earlier group, which may be alive but cut off from Ray, are ignored. The count of losses starts
    again when training passes its furthest step: so a training of weeks may lose many workers, but one that always fails at the
    same step ends.
    """

    def __init__(self, max_failures: int) -> None:
        """`max_failures`: how often in a row workers may be restarted without a new furthest step."""
        self._max_failures = max_failures
        self._starts = self._furthest = 0
        self._reason = UNREPORTED
        self._assignment: Assignment | None = None
        self._dismissed = self._checkpoint_wanted = False
        self._reports: list[Report] = []
        self._outcome = Outcome()
        self._placement_groups: dict[str, Any] = {}
        self._group = ""
        self._workers = 0
        self._changed = asyncio.Condition()

    async def assign(self, number: int, pickled: bytes) -> None:
        """Give an assignment to all workers."""
        self._reports, self._outcome = [], Outcome(workers=self._workers)
        self._assignment = Assignment(number, pickled)
        self._starts, self._furthest, self._reason = int(self._workers > 0), 0, UNREPORTED
        await self._notify()

    async def dismiss(self) -> None:
        """Make workers exit when they ask for the next assignment."""
        self._dismissed = True
        await self._notify()

    async def assignment(self, after: int) -> Assignment | None:
        """Wait for the next assignment after number `after`; None: the worker is dismissed.

        A restarted worker passes 0, and so gets the unfinished assignment again.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._dismissed or self._is_open(after))
            return None if self._dismissed else self._assignment

    async def join(self, worker: WorkerRank, placement_group: Any) -> None:
        """Note that a worker has started, in a placement group; the first worker of a new group replaces the previous group."""
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
                    f"training workers failed {self._starts - 1} times without completing another step: {self._reason}"
                )

    async def placement_groups(self) -> list[Any]:
        """The placement groups of all workers so far."""
        return list(self._placement_groups.values())

    async def enter(self, worker: WorkerRank, now: float) -> None:
        """Note that a worker starts the assignment, at Unix time `now`."""
        if worker.group == self._group:
            self._outcome.entered = self._outcome.entered or now
            self._outcome.groups.add(worker.group)

    async def report(self, worker: WorkerRank, reports: list[Report]) -> bool:
        """Store reports of completed steps. Returns whether a checkpoint is wanted, once for each request."""
        if worker.group != self._group:
            return False
        self._reports.extend(reports)
        furthest = max(step for step, _, _ in reports)
        if furthest > self._furthest:
            self._starts, self._furthest, self._reason = 1, furthest, UNREPORTED
        wanted, self._checkpoint_wanted = self._checkpoint_wanted, False
        return wanted

    async def want_checkpoint(self) -> None:
        """Make the training save a checkpoint after its next step."""
        self._checkpoint_wanted = True

    async def leave(self, worker: WorkerRank, result: bytes, now: float) -> None:
        """Store the pickled result of a worker that finished the assignment at Unix time `now`."""
        if worker.group == self._group:
            self._outcome.results[worker.rank], self._outcome.ended = result, now

    async def fail(self, worker: WorkerRank, error: LongrunError, now: float) -> None:
        """Store a worker's `LongrunError`, which ends the assignment; only the first one counts."""
        if worker.group == self._group:
            self._outcome.error, self._outcome.ended = self._outcome.error or error, now

    async def crash(self, worker: WorkerRank, reason: str) -> None:
        """Store the reason of a worker that failed with any other error and will be restarted."""
        if worker.group == self._group:
            self._reason = reason

    async def take_reports(self) -> list[Report]:
        """The reports since the last call."""
        reports, self._reports = self._reports, []
        return reports

    async def is_finished(self) -> bool:
        """Whether the assignment has all results or an error."""
        return self._outcome.error is not None or self._outcome.is_complete

    async def outcome(self) -> Outcome:
        """The current state of the assignment."""
        return self._outcome

    def _is_open(self, after: int) -> bool:
        if self._assignment is None or self._assignment.number <= after:
            return False
        return self._outcome.error is None and not self._outcome.is_complete

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def mailbox_actor(max_failures: int) -> Any:
    """Start a mailbox as an actor, which ends with its last handle. All workers can wait in it at the same time.

    It runs on the driver's node, so that the driver never outlives it.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here).remote(max_failures)
