"""Submits runs to a Flyte service, reads their state and logs, and stops them.

A listing of actions lacks some facts, which are requested for each action: the task's name, its error, and its events in the
cluster (flyteorg/flyte v2.0.43, runs/service/run_service.go: convertActionToEnrichedProto, actionMetadataFromModel).
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any

from components.errors import ClusterError, ConfigError, single_line, unknown
from infra.bundle import code_version
from infra.cluster.failures import explained, reason
from infra.cluster.profiles import Profile
from infra.flyte.project import make_missing
from infra.flyte.service import FlyteService

IDLE_SECONDS = 5.0
"""Seconds without a new log line after which Flyte is asked whether the step still runs."""

DRIVER = "a0"
"""Flyte's name of a run's first action; the names of the others are digests."""

WAITING = {"queued", "waiting_for_resources", "initializing"}
GOOD = {"succeeded", "recovered"}
FAILED = {"failed", "timed_out"}
ENDED = GOOD | FAILED | {"aborted"}


_UNKNOWN = "Flyte does not know the reason yet"
"""Problem of a step that has failed just now: its events follow a little later."""


class LogMissing(ClusterError):
    """Flyte has no log of a step: its pod does not exist yet, or no longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One task of a run, as Flyte reports it."""

    action: str
    """Flyte's name of the task's action; `a0` is the driver."""
    task: str
    """The step's name: the name of the task's function."""
    phase: str
    """Flyte's phase: queued, waiting_for_resources, initializing, running, paused, succeeded, recovered, failed, aborted or
    timed_out."""
    seconds: float
    """Seconds from start to end; 0 while it runs."""
    since: float = 0.0
    """Unix time at which it entered its phase, or since when `problem` exists; 0: unknown."""
    attempt: int = 1
    """Number of the newest attempt, from 1: Flyte restarts a task whose pod or node was lost."""
    on_ray: bool = False
    """Whether it runs in a Ray cluster of its own."""
    problem: str = ""
    """Why it failed or does not start, in one line; empty if there is no problem."""
    remedy: str = ""
    """What to do about `problem`; empty if unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """The current state of a run, as Flyte reports it."""

    run: str
    url: str
    phase: str
    steps: tuple[Step, ...]
    """The driver, then the others in order of their start."""
    note: str = ""
    """Which details could not be read, and why."""

    @property
    def done(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in ENDED

    @property
    def failed(self) -> bool:
        """Whether it ended without success."""
        return self.done and self.phase not in GOOD

    @property
    def problem(self) -> Step | None:
        """The step that the run failed at or waits for.

        The driver's own failure only repeats a step's, and of what was stopped with the driver none is the cause.
        """
        with_problem = [step for step in self.steps if step.problem]
        return min(with_problem, key=lambda step: (step.phase == "aborted", step.action == DRIVER), default=None)

    def step(self, name: str) -> Step:
        """The newest step called `name`; the driver if `name` is empty.

        Raises:
            ConfigError: the run has no such step, or not yet; the message lists the existing steps.
        """
        named = [step for step in self.steps if step.task == name] if name else list(self.steps[:1])
        if not named:
            known = list(dict.fromkeys(step.task for step in self.steps))
            more = "reused steps have no task" if self.done else "later steps have not started, and reused steps have no task"
            raise ConfigError(f"run {self.run}: {unknown('step', name, known)}; {more}")
        return named[-1]


@dataclass(frozen=True)
class FlyteRuns:
    """The runs of a profile's project and domain. Every method raises `ClusterError` or one of its kinds."""

    profile: Profile
    _ended: dict[tuple[str, str], Step] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Cache of ended steps, by run and action: they do not change, so Flyte is not asked again."""

    @property
    def _service(self) -> FlyteService:
        return FlyteService(self.profile)

    def submit(self, task: Any, *inputs: Any, name: str) -> str:
        """Upload the code, the inputs and the task's specification, and start run `name`; returns the run's URL.

        Creates the profile's project if it is missing.
        """
        return self._service.ask(self._submit(task, *inputs, name=name))

    def state(self, run: str) -> RunState:
        """The state of a run and its steps, with the problems of those that failed or wait."""
        return self._service.ask(self._state(run))

    def abort(self, run: str, reason: str) -> None:
        """Stop a run. Artifacts that its steps have published stay.

        Raises:
            ConfigError: the run has already ended. Flyte would mark it as aborted even if it succeeded.
        """
        self._service.ask(self._abort(run, reason))

    def log(self, run: str, step: Step) -> Iterator[str]:
        """Follow the log of a step's newest attempt until it ends, line by line: of its pod, or of the head of its Ray cluster.

        Raises:
            LogMissing: the pod does not exist yet, or no longer.
        """
        service, loop = self._service, asyncio.new_event_loop()
        lines = self._lines(run, step)
        try:
            with service.translating():
                loop.run_until_complete(service.connect())
                while (line := loop.run_until_complete(anext(lines, None))) is not None:
                    yield line
        finally:
            loop.run_until_complete(lines.aclose())
            loop.close()

    async def _submit(self, task: Any, *inputs: Any, name: str) -> str:
        import flyte
        from flyte.remote._progress import report_uploads

        await make_missing(self.profile)
        # `none` uploads nothing of the current folder: the driver's environment includes the code, see infra.bundle
        context = flyte.with_runcontext(
            mode="remote", name=name, copy_style="none", version=code_version(), disable_run_cache=True
        )
        with report_uploads(_UploadObserver()):
            return (await context.run.aio(task, *inputs)).url

    async def _state(self, run: str) -> RunState:
        from flyte.remote import Action, Run

        remote = await Run.get.aio(name=run)
        actions = [action async for action in Action.listall.aio(for_run_name=remote.name)]
        steps = await asyncio.gather(*(self._step(run, action) for action in actions))
        return RunState(run=run, url=remote.url, phase=remote.action.phase.value, steps=tuple(steps))

    async def _step(self, run: str, action: Any) -> Step:
        key = (run, action.name)
        step = self._ended.get(key) or _step(await action.details())
        if step.phase in ENDED and step.problem != _UNKNOWN:
            self._ended[key] = step
        return step

    async def _abort(self, run: str, reason: str) -> None:
        from flyte.remote import Run

        remote = await Run.get.aio(name=run)
        phase = remote.action.phase.value
        if phase in ENDED:
            raise ConfigError(f"run {run} has already ended ({phase}); there is nothing to stop")
        await remote.abort.aio(reason)

    async def _lines(self, run: str, step: Step) -> AsyncGenerator[str, None]:
        from flyte.errors import LogsNotYetAvailableError
        from flyte.remote import Action

        action = await Action.get.aio(run_name=run, name=step.action)
        try:
            async for line in _until_idle(action.action_id, step.attempt):
                yield line
        except LogsNotYetAvailableError as error:
            raise LogMissing(f"Flyte has no log of {step.task} in run {run}: the step has no pod at the moment") from error


class _UploadObserver:
    """An upload observer that does nothing. It makes Flyte send files in chunks of 1 MiB.

    Without an observer Flyte sends a file line by line: 4,700 chunks and 0.9 s of CPU time. Flyte has no public API to set one.
    """

    def start(self, key: str, *, name: str, phase: str, total: int) -> None:
        """The upload of a file starts."""

    def advance(self, key: str, size: int) -> None:
        """`size` more bytes were sent: 1 MiB, or the rest."""

    def finish(self, key: str, *, failed: bool = False) -> None:
        """The upload of a file has ended."""


def _step(details: Any) -> Step:
    phase, attempts = details.phase.value, list(details.pb2.attempts)
    problem = _problem(details, phase)
    meaning = explained(problem)
    return Step(
        action=details.name,
        task=_name(details),
        phase=phase,
        seconds=details.status.duration_ms / 1000 if phase in ENDED else 0.0,
        since=_since(details, attempts),
        attempt=max(1, details.status.attempts),
        on_ray=details.metadata.task.task_type == "ray",
        problem=problem,
        remedy=meaning[1] if meaning else "",
    )


def _name(details: Any) -> str:
    """The name of the task's function, without its environment's."""
    return (details.task_name or details.metadata.task.short_name or details.name).rpartition(".")[2]


def _since(details: Any, attempts: list[Any]) -> float:
    phases = [phase for attempt in attempts for phase in attempt.phase_transitions]
    began = phases[-1].start_time if phases else details.status.start_time
    return float(began.seconds)


def _problem(details: Any, phase: str) -> str:
    """The problem of a step by its phase: its error, who stopped it, why its pod does not start, or why the last attempt
    failed."""
    attempts = list(details.pb2.attempts)
    if phase in FAILED:
        failures = [attempt.error_info.message for attempt in attempts if attempt.error_info.message]
        return reason(details.error_message or (failures[-1] if failures else "")) or _UNKNOWN
    if phase == "aborted":
        return f"stopped: {single_line(details.abort_info.reason)}" if details.abort_info and details.abort_info.reason else ""
    if phase in WAITING:
        events = [event.message for attempt in attempts[-1:] for event in attempt.cluster_events]
        return next((reason(event) for event in reversed(events) if explained(event)), "")
    if phase == "running" and len(attempts) > 1 and attempts[-2].error_info.message:
        return f"attempt {attempts[-1].attempt}; the previous attempt failed: {reason(attempts[-2].error_info.message)}"
    return ""


async def _until_idle(action: Any, attempt: int) -> AsyncGenerator[str, None]:
    """Lines of an action's log. Ends with the action, even if the service keeps the log of a finished action open."""
    from flyte.remote import ActionDetails
    from flyte.remote._logs import Logs

    # the default of five attempts takes ten seconds, but a deleted pod does not come back
    lines = Logs.tail.aio(action_id=action, attempt=attempt, retry=1)
    waiting = asyncio.ensure_future(anext(lines, None))
    while True:
        done, _ = await asyncio.wait({waiting}, timeout=IDLE_SECONDS)
        if not done:
            if (await ActionDetails.get_details.aio(action)).done():
                waiting.cancel()
                return
        elif (line := waiting.result()) is None:
            return
        else:
            yield line.message.rstrip("\n")
            waiting = asyncio.ensure_future(anext(lines, None))
