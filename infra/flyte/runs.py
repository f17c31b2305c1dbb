"""Runs on a Flyte service: submit, look at, read and stop them.

What a listing of actions leaves out stands in the details of each: the task's name, what it failed with, what was seen of it in
the cluster (flyteorg/flyte v2.0.43, runs/service/run_service.go: convertActionToEnrichedProto, actionMetadataFromModel).
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
"""Without a new line, after which Flyte is asked whether the step whose log is read still runs."""

DRIVER = "a0"
"""Flyte's name of a run's first action; those of all others are digests."""

WAITING = {"queued", "waiting_for_resources", "initializing"}
GOOD = {"succeeded", "recovered"}
FAILED = {"failed", "timed_out"}
ENDED = GOOD | FAILED | {"aborted"}


_UNKNOWN = "Flyte has no reason for it yet"
"""Of a failure: its events follow a little later."""


class LogMissing(ClusterError):
    """Flyte has no log of a step: its pods are not there yet, or no longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One task of a run."""

    action: str
    """Flyte's name of it; `a0` is the driver."""
    task: str
    """The step's name, which is that of the task's function."""
    phase: str
    """queued, waiting_for_resources, initializing, running, paused, succeeded, recovered, failed, aborted or timed_out."""
    seconds: float
    """From its start to its end; 0 while it goes on."""
    since: float = 0.0
    """Unix time at which it came into its phase, or began to wait for what `problem` says; 0: not known."""
    attempt: int = 1
    """The newest: Flyte starts a task again whose pod or machine was lost."""
    on_ray: bool = False
    """Whether it runs in a Ray cluster of its own."""
    problem: str = ""
    """Why it failed, or does not start; one line."""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """A run as Flyte knows it now."""

    run: str
    url: str
    phase: str
    steps: tuple[Step, ...]
    """The driver first, then in the order of their start."""
    note: str = ""
    """What could not be looked at, and why."""

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
        """The step of that name, the newest where there are several; the driver for none.

        Raises:
            ConfigError: there is none, or none yet; the message names those that are there.
        """
        named = [step for step in self.steps if step.task == name] if name else list(self.steps[:1])
        if not named:
            known = list(dict.fromkeys(step.task for step in self.steps))
            more = "one that is reused has no task" if self.done else "others may come, and one that is reused has no task"
            raise ConfigError(f"run {self.run}: {unknown('step', name, known)}; {more}")
        return named[-1]


@dataclass(frozen=True)
class FlyteRuns:
    """The runs of a profile's project and domain. Every method raises `ClusterError` or one of its kinds."""

    profile: Profile
    _ended: dict[tuple[str, str], Step] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Run and action -> a step that has ended: nothing about it changes, and nobody asks again."""

    @property
    def _service(self) -> FlyteService:
        return FlyteService(self.profile)

    def submit(self, task: Any, *inputs: Any, name: str) -> str:
        """Send the code, the inputs and the task's specification, and start it as run `name`; the run's URL.

        The profile's project is made if it is missing.
        """
        return self._service.ask(self._submit(task, *inputs, name=name))

    def state(self, run: str) -> RunState:
        """The run with its steps, and what those that failed or wait say."""
        return self._service.ask(self._state(run))

    def abort(self, run: str, reason: str) -> None:
        """Stop a run; what its steps have published stays.

        Raises:
            ConfigError: it has ended. Flyte would call it aborted from then on, whatever it has made.
        """
        self._service.ask(self._abort(run, reason))

    def log(self, run: str, step: Step) -> Iterator[str]:
        """Lines that the newest attempt of a step has printed, and prints until it ends: those of one pod, Ray's head for a job.

        Raises:
            LogMissing: there is no such pod, or no longer.
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
        # `none` takes nothing of the folder: the bundle is what the driver's environment includes, see infra.bundle.
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
            raise ConfigError(f"run {run} has ended: {phase}; there is nothing to stop")
        await remote.abort.aio(reason)

    async def _lines(self, run: str, step: Step) -> AsyncGenerator[str, None]:
        from flyte.errors import LogsNotYetAvailableError
        from flyte.remote import Action

        action = await Action.get.aio(run_name=run, name=step.action)
        try:
            async for line in _until_idle(action.action_id, step.attempt):
                yield line
        except LogsNotYetAvailableError as error:
            raise LogMissing(f"Flyte has no log of {step.task} in run {run}: it has no pod now") from error


class _UploadObserver:
    """An observer of uploads: with one, Flyte sends a file by the MiB.

    Without, it sends it line by line: 4,700 pieces, 0.9 s of processor time. Only Flyte's command line sets one publicly.
    """

    def start(self, key: str, *, name: str, phase: str, total: int) -> None:
        """A file starts."""

    def advance(self, key: str, size: int) -> None:
        """`size` more bytes of it are sent: 1 MiB, or the rest."""

    def finish(self, key: str, *, failed: bool = False) -> None:
        """It has ended."""


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
    """What it failed with; else who stopped it, or what stands in the way of its pod, or has ended the attempt before."""
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
        return f"attempt {attempts[-1].attempt}; the one before failed: {reason(attempts[-2].error_info.message)}"
    return ""


async def _until_idle(action: Any, attempt: int) -> AsyncGenerator[str, None]:
    """Lines of an action's log. The service may hold a finished action's log open for ever."""
    from flyte.remote import ActionDetails
    from flyte.remote._logs import Logs

    # its own five tries take ten seconds, and a pod that is gone does not come back
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
