"""Runs on a Flyte service: submit, look at, read and stop them. Every refusal is one of our errors, and says what to do."""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from components.errors import (
    ClusterError,
    ConfigError,
    EndpointError,
    ImageMissing,
    LoginRefused,
    LongrunError,
    QuotaExceeded,
)
from infra.bundle import REPOSITORY, code_version
from infra.cluster.profiles import Profile
from infra.variables import variable

SECONDS = 60.0
"""For one question, and for a submission with its upload."""

LOGIN_SECONDS = 300.0
"""The same where a person may have to sign in with a browser."""

RPC_RETRIES = 2
"""How often Flyte's client, which alone tries again, repeats a request after 0.5 s and 1 s."""

IDLE_SECONDS = 5.0
"""Without a new line, after which Flyte is asked whether the step whose log is read still runs."""

TOKEN = "FLYTE_TOKEN"  # noqa: S105 - a name
"""Secret of a profile that holds a bearer token for Flyte; without it, Flyte's own login is used."""

_WAITING = {"queued", "waiting_for_resources", "initializing"}
_GOOD = {"succeeded", "recovered"}
_BAD = {"failed", "aborted", "timed_out"}

_PROBLEMS: tuple[tuple[str, type[ClusterError], str], ...] = (
    (
        r"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|[Ff]ailed to pull image|manifest unknown",
        ImageMissing,
        "make images, push them, and put their digests into the profile; private registries need the chart's images.pullSecrets",
    ),
    (
        r"(?i)exceeded quota|quota exceeded|insufficient quota|must specify limits|failed quota",
        QuotaExceeded,
        "raise quota.hard in the chart's values, or lower the profile's workers or gpus_per_worker",
    ),
    (
        r"FailedScheduling|nodes are available",
        ClusterError,
        "wait until nodes are free, add some, or see what is lacking: longrun doctor --cluster",
    ),
)
"""What Kubernetes says of pods that do not start, what that is, and what to do."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One task of a run."""

    action: str
    """Flyte's name of it; `a0` is the driver."""
    task: str
    phase: str
    """queued, waiting_for_resources, initializing, running, paused, succeeded, recovered, failed, aborted or timed_out."""
    seconds: float
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

    @property
    def done(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in _GOOD | _BAD

    @property
    def failed(self) -> bool:
        """Whether it ended without success."""
        return self.phase in _BAD

    @property
    def problem(self) -> Step | None:
        """The step that the run failed at or waits for: the driver's own failure only repeats a step's."""
        with_problem = [step for step in self.steps if step.problem]
        return next(iter(sorted(with_problem, key=lambda step: step.action == "a0")), None)


@dataclass(frozen=True)
class FlyteRuns:
    """The runs of a profile's project and domain. Every method raises `ClusterError` or one of its kinds."""

    profile: Profile

    def submit(self, task: Any, *inputs: Any, name: str) -> str:
        """Send the code, the inputs and the task's specification, and start it as run `name`; the run's URL."""
        return self._ask(self._submit(task, *inputs, name=name))

    def state(self, run: str) -> RunState:
        """The run with its steps, and what those that failed or wait say."""
        return self._ask(self._state(run))

    def abort(self, run: str, reason: str) -> None:
        """Stop a run; what its steps have published stays."""
        self._ask(self._abort(run, reason))

    def log(self, run: str, step: str = "") -> Iterator[str]:
        """Lines that the driver, or the newest attempt of a step, has printed and prints until it ends."""
        loop = asyncio.new_event_loop()
        lines = self._lines(run, step)
        try:
            with self._login():
                while (line := loop.run_until_complete(anext(lines, None))) is not None:
                    yield line
        except Exception as error:
            raise self._refusal(error) from error
        finally:
            loop.run_until_complete(lines.aclose())
            loop.close()

    async def _submit(self, task: Any, *inputs: Any, name: str) -> str:
        import flyte
        from flyte.remote._progress import report_uploads

        await self._connect()
        # `none` takes nothing of the folder: the bundle is what the driver's environment includes, see infra.bundle.
        context = flyte.with_runcontext(
            mode="remote", name=name, copy_style="none", version=code_version(), disable_run_cache=True
        )
        with report_uploads(_UploadObserver()):
            return (await context.run.aio(task, *inputs)).url

    async def _state(self, run: str) -> RunState:
        from flyte.remote import Action, Run

        await self._connect()
        remote = await Run.get.aio(name=run)
        actions = [action async for action in Action.listall.aio(for_run_name=remote.name)]
        steps = await asyncio.gather(*map(_step, actions))
        return RunState(run=run, url=remote.url, phase=remote.action.phase.value, steps=tuple(steps))

    async def _abort(self, run: str, reason: str) -> None:
        from flyte.remote import Run

        await self._connect()
        await (await Run.get.aio(name=run)).abort.aio(reason)

    async def _lines(self, run: str, step: str) -> AsyncGenerator[str, None]:
        from flyte.remote import Action

        await self._connect()
        actions = [action async for action in Action.listall.aio(for_run_name=run)]
        known = {_short(action): action for action in actions}
        action = known.get(step) if step else actions[0]
        if action is None:
            raise ConfigError(f"run {run} has no step {step!r} yet; it has: {', '.join(known)}")
        if action.phase.value in _WAITING:
            raise ClusterError(f"{_short(action)} of run {run} has printed nothing: it is {action.phase.value}")
        async for line in _until_idle(action):
            # Flyte puts a blank where a line's time would stand
            yield line.removeprefix(" ").rstrip("\n")

    async def _connect(self) -> None:
        import flyte

        insecure = self.profile.endpoint.startswith("http://")
        await flyte.init.aio(
            endpoint=self.profile.endpoint,
            insecure=insecure,
            project=self.profile.project,
            domain=self.profile.domain,
            auth_type="Pkce" if self._interactive else "Passthrough",
            rpc_retries=RPC_RETRIES,
            root_dir=REPOSITORY,
            # what this machine's path of modules looks like is nothing to the cluster
            sync_local_sys_paths=False,
        )

    def _ask(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        seconds = LOGIN_SECONDS if self._interactive else SECONDS
        try:
            with self._login():
                return asyncio.run(asyncio.wait_for(question, seconds))
        except TimeoutError as error:
            raise EndpointError(f"{self.profile.endpoint} has not answered within {seconds:.0f} s; {_WRONG_ENDPOINT}") from error
        except Exception as error:
            raise self._refusal(error) from error
        finally:
            question.close()

    @property
    def _interactive(self) -> bool:
        return TOKEN not in self.profile.own_secrets and sys.stderr.isatty()

    def _login(self) -> AbstractContextManager[Any]:
        """Within it, requests carry the profile's token, if it names one."""
        from flyte.remote import auth_metadata

        source = self.profile.own_secrets.get(TOKEN)
        if source is None:
            return nullcontext()
        if self.profile.endpoint.startswith("http://"):
            raise ConfigError(f"{TOKEN} is not sent to an http:// endpoint, where all could read it; allowed: https://")
        token = variable(source)
        if not token:
            raise ConfigError(f"the profile takes {TOKEN} from the environment variable {source}, which is not set")
        return auth_metadata(("authorization", f"Bearer {token}"))

    def _refusal(self, error: Exception) -> LongrunError:
        """The error of ours that says what `error` means."""
        from connectrpc.code import Code
        from connectrpc.errors import ConnectError

        if isinstance(error, LongrunError):
            return error
        chain = list(_causes(error))
        answer = next((cause for cause in chain if isinstance(cause, ConnectError)), None)
        message = _single_line(answer.message if answer else str(error)) or type(error).__name__
        if problem := explained(message):
            return problem[0](f"{message}; {problem[1]}")
        where, code = f"Flyte at {self.profile.endpoint}", answer.code if answer else None
        if code in {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED}:
            return LoginRefused(f"{where} refuses: {message}; {self._login_remedy}")
        if code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
            return EndpointError(f"{where} does not answer: {message}; {_WRONG_ENDPOINT}")
        if code is Code.UNIMPLEMENTED:
            return EndpointError(f"what answers at {self.profile.endpoint} is no Flyte 2 service; {_WRONG_ENDPOINT}")
        if code is Code.NOT_FOUND:
            scope = f"project {self.profile.project}, domain {self.profile.domain}"
            return ClusterError(f"{where}: {message}; look at the run's name and at the profile's {scope}")
        if code is Code.RESOURCE_EXHAUSTED:
            return QuotaExceeded(f"{where}: {message}; wait, or ask for a larger quota")
        return ClusterError(f"{where}: {message}; look at it with: longrun doctor --cluster")

    @property
    def _login_remedy(self) -> str:
        scope = f"project {self.profile.project} in domain {self.profile.domain}"
        if source := self.profile.own_secrets.get(TOKEN):
            return f"look at the token in the environment variable {source}, and at its rights in {scope}"
        return f'give the profile a token, {TOKEN} = "environment:VARIABLE" below [secrets], with rights in {scope}'


_WRONG_ENDPOINT = "look at the profile's endpoint, and whether Flyte runs: longrun doctor --cluster"


def explained(message: str) -> tuple[type[ClusterError], str] | None:
    """What a message of Kubernetes means, and the remedy; None where it is none of those that have one."""
    return next(((kind, remedy) for pattern, kind, remedy in _PROBLEMS if re.search(pattern, message)), None)


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


async def _step(action: Any) -> Step:
    problem, phase = "", action.phase.value
    if phase not in _GOOD | {"running"}:
        problem = _problem(await action.details())
    meaning = explained(problem)
    return Step(
        action=action.name,
        task=_short(action),
        phase=phase,
        seconds=action.pb2.status.duration_ms / 1000,
        problem=problem,
        remedy=meaning[1] if meaning else "",
    )


def _problem(details: Any) -> str:
    """The action's error, else what stands in the way of its pod, by the newest event that has a remedy."""
    if details.error_message:
        return _single_line(details.error_message)
    events = [f"{event.reason}: {event.message}" for attempt in details.pb2.attempts for event in attempt.cluster_events]
    return next((_single_line(event) for event in reversed(events) if explained(event)), "")


async def _until_idle(action: Any) -> AsyncGenerator[str, None]:
    """Lines of an action's log. The service may hold a finished action's log open for ever."""
    from flyte.remote import ActionDetails

    lines = action.get_logs.aio()
    waiting = asyncio.ensure_future(anext(lines, None))
    while True:
        done, _ = await asyncio.wait({waiting}, timeout=IDLE_SECONDS)
        if not done:
            if (await ActionDetails.get_details.aio(action.action_id)).done():
                waiting.cancel()
                return
        elif (line := waiting.result()) is None:
            return
        else:
            yield line
            waiting = asyncio.ensure_future(anext(lines, None))


def _short(action: Any) -> str:
    """The step's name: that of the task's function, without its environment."""
    return (action.task_name or action.name).rpartition(".")[2]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _single_line(message: str) -> str:
    return " ".join(message.split())[:500]
